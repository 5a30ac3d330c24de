"""The picture of a run: its log as learning curves."""

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_TITLES = {
    "bpp": "rate, bits per pixel",
    "bpp_brotli": "rate of the Brotli coder, bits per pixel",
    "ratio": "rate by that of the Brotli coder",
    "psnr_quantized": "PSNR, quantized only, dB",
    "psnr_restored": "PSNR, restored, dB",
    "ssimulacra2_quantized": "SSIMULACRA 2, quantized only",
    "ssimulacra2_restored": "SSIMULACRA 2, restored",
}
_STYLES = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"))


def draw_curves(log: Path, picture: Path) -> None:
    """Draws the validations in a run's ``log.csv``: each figure by minutes of training."""
    with log.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["levels"]]
    shown = [name for name in _TITLES if any(row.get(name) for row in rows)]
    if not shown:
        return
    figure = Figure(figsize=(4.5 * len(shown), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for (colour, marker), levels in zip(
            _STYLES, sorted({int(row["levels"]) for row in rows}), strict=False
        ):
            chosen = [row for row in rows if int(row["levels"]) == levels and row[name]]
            axes.plot(
                [float(row["minutes"]) for row in chosen],
                [float(row[name]) for row in chosen],
                color=colour, marker=marker, markersize=3, label=f"N = {levels}",
            )  # fmt: skip
        axes.set(xlabel="training time, minutes", ylabel=_TITLES[name])
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=110)
