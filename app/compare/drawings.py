"""Error maps: plain data in, a matplotlib Figure out. No pyplot, no state, any thread."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from qann_core.evaluation.charts import INK

_MAP_SIDE = 768


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
