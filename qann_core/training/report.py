"""The picture of a run: its log as learning curves."""

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_curves(log: Path, picture: Path) -> None:
    """Draws a run's ``log.csv``: PSNR gain and estimated rate on the validation photos by time.

    The restoration gain is restored minus quantized PSNR in dB; time is in minutes of training.
    """
    with log.open() as file:
        rows = [row for row in csv.DictReader(file) if row["levels"]]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    gain, cost = figure.subplots(1, 2)
    for colour, marker, levels in zip(
        ("#0072b2", "#d55e00", "#009e73"), "os^", sorted({int(r["levels"]) for r in rows}),
        strict=False,
    ):  # fmt: skip
        chosen = [row for row in rows if int(row["levels"]) == levels]
        minutes = [float(row["minutes"]) for row in chosen]
        restored = [float(row["psnr_restored"]) for row in chosen]
        quantized = [float(row["psnr_quantized"]) for row in chosen]
        style = {"color": colour, "marker": marker, "markersize": 3, "label": f"N = {levels}"}
        gain.plot(minutes, [r - q for r, q in zip(restored, quantized, strict=True)], **style)
        cost.plot(minutes, [float(row["bpp"]) for row in chosen], **style)
    gain.set(xlabel="training time, minutes", ylabel="restoration gain, dB")
    cost.set(xlabel="training time, minutes", ylabel="estimated rate, bits per pixel")
    for axes in (gain, cost):
        axes.grid(alpha=0.3)
    gain.legend()
    figure.savefig(picture, dpi=110)
