"""Every chart and map: plain data in, matplotlib Figure out. No pyplot, no state, any thread.

The colours are Okabe and Ito's, told apart by colour-blind readers too, and each codec has its own
marker. Figures have no background and middle-grey text, to sit on a light or a dark page.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from qann_core.rate_distortion import Point

INK = "#7b8494"
_STYLES = {
    "restored": ("QANN restored", "#D55E00", "o", "-"),
    "quantized": ("QANN quantized only", "#E69F00", "o", "--"),
    "jpeg": ("JPEG", "#0072B2", "s", "-"),
    "webp": ("WebP", "#009E73", "^", "-"),
    "avif": ("AVIF", "#CC79A7", "D", "-"),
    "jpegxl": ("JPEG XL", "#56B4E9", "v", "-"),
}
MEASURES = {"PSNR": "psnr", "SSIM": "ssim", "MS-SSIM": "ms_ssim"}
_MAP_SIDE = 768


def codec_label(codec: str) -> str:
    """How a codec is called on charts and in tables."""
    return _STYLES[codec][0]


def rate_distortion(points: Sequence[Point], measure: str, current: Sequence[Point]) -> Figure:
    """Quality over rate, one line a codec; ``current`` points get a ring.

    Args:
        measure: a key of MEASURES.
    """
    figure = Figure(figsize=(5.8, 4.6), dpi=140, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    for codec, (label, colour, marker, line) in _STYLES.items():
        curve = sorted(_finite((p for p in points if p.codec == codec), measure))
        if curve:
            axes.plot(
                *zip(*curve, strict=True),
                line,
                color=colour,
                marker=marker,
                markersize=5,
                lw=1.8,
                label=label,
            )
    for point in current:
        for x, y in _finite([point], measure):
            axes.plot(x, y, "o", ms=14, mfc="none", mec=_STYLES[point.codec][1], mew=2)
    unit = ", dB" if measure == "PSNR" else ""
    axes.set_xlabel("bits per pixel", fontsize=11)
    axes.set_ylabel(f"{measure}{unit}, RGB", fontsize=11)
    plain_axes(axes)
    if points:
        axes.set_xlim(left=0)
        axes.legend(loc="lower right", frameon=False, labelcolor=INK, fontsize=10)
    else:
        axes.grid(False)
        axes.margins(0.4)
        note = "This is where the slider stands; no curve yet"
        axes.annotate(note, (0.5, 0.75), xycoords="axes fraction", color=INK, ha="center")
    return figure


def error_maps(original: np.ndarray, quantized: np.ndarray, restored: np.ndarray) -> Figure:
    """Where the decoded pictures are wrong, before and after restoration, on one scale."""
    maps = [_error(original, decoded) for decoded in (quantized, restored)]
    top = max(1.0, float(np.percentile(maps[0], 99.5)))
    height, width = maps[0].shape
    rows, columns = (1, 2) if height >= 0.8 * width else (2, 1)
    wide = 6.4
    tall = wide / columns * height / width * rows + 0.5 * rows + 0.7
    figure = Figure(figsize=(wide, min(tall, 14)), dpi=110, layout="constrained", facecolor="none")
    for index, (label, values) in enumerate(
        zip(("Quantized only", "Restored"), maps, strict=True), 1
    ):
        axes = figure.add_subplot(rows, columns, index)
        picture = axes.imshow(values, cmap="magma", vmin=0, vmax=top, interpolation="nearest")
        axes.set_title(f"{label}: mean {values.mean():.2f}", color=INK, fontsize=12)
        axes.set_axis_off()
    bar = figure.colorbar(picture, ax=figure.axes, location="bottom", shrink=0.7, aspect=40)
    bar.set_label("root-mean-square error over R, G, B, of 255", color=INK, fontsize=11)
    bar.ax.tick_params(colors=INK, labelsize=11)
    bar.outline.set_visible(False)
    return figure


def _error(original: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    squared = np.square(decoded.astype(np.float32) - original).mean(axis=2)
    longest = max(squared.shape)
    if longest > _MAP_SIDE:  # drawn smaller than that anyway
        size = tuple(max(1, side * _MAP_SIDE // longest) for side in squared.shape[::-1])
        squared = np.asarray(Image.fromarray(squared).resize(size, Image.Resampling.BOX))
    return np.sqrt(squared)


def _finite(points: Iterable[Point], measure: str) -> list[tuple[float, float]]:
    pairs = [(p.bpp, getattr(p, MEASURES[measure])) for p in points]
    return [(x, y) for x, y in pairs if y is not None and math.isfinite(y)]


def plain_axes(axes: Axes) -> None:
    """The one chart style: light grid, no box, grey ink."""
    axes.grid(color=INK, alpha=0.25, lw=0.6)
    axes.tick_params(colors=INK, labelsize=10, length=0)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def png(figure: Figure) -> bytes:
    """A figure as a PNG file on white, for downloads."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, facecolor="white")
    return buffer.getvalue()
