"""The picture of a run: its log as learning curves."""

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_curves(log: Path, picture: Path, restores: bool = True) -> None:
    """Draws a run's ``log.csv``: quality and estimated rate on the validation photos by time.

    Quality is the restoration gain, restored minus quantized PSNR in dB, or for a run without
    restoration the PSNR itself; time is in minutes of training.
    """
    with log.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["levels"]]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    quality, cost = figure.subplots(1, 2)
    for colour, marker, levels in zip(
        ("#0072b2", "#d55e00", "#009e73"), "os^", sorted({int(r["levels"]) for r in rows}),
        strict=False,
    ):  # fmt: skip
        chosen = [row for row in rows if int(row["levels"]) == levels]
        minutes = [float(row["minutes"]) for row in chosen]
        restored = [float(row["psnr_restored"]) for row in chosen]
        quantized = [float(row["psnr_quantized"]) for row in chosen]
        style = {"color": colour, "marker": marker, "markersize": 3, "label": f"N = {levels}"}
        gains = [r - q for r, q in zip(restored, quantized, strict=True)]
        quality.plot(minutes, gains if restores else quantized, **style)
        cost.plot(minutes, [float(row["bpp"]) for row in chosen], **style)
    label = "restoration gain, dB" if restores else "PSNR, dB"
    quality.set(xlabel="training time, minutes", ylabel=label)
    cost.set(xlabel="training time, minutes", ylabel="estimated rate, bits per pixel")
    for axes in (quality, cost):
        axes.grid(alpha=0.3)
    quality.legend()
    figure.savefig(picture, dpi=110)
