"""Charts and maps of the tab "Inside the codec": plain data in, a Figure or pixels out.

Charts are 4.8 inches wide, so that their text can still be read where a phone shows them 350
pixels wide. Their ink is dark on nothing; a dark page inverts them (inside.css). Maps are pixels;
their scales are text of the page (``plates.scale``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import MaxNLocator

INK = "#475569"
BEFORE, REDUCED, RESTORED = "#0072B2", "#E69F00", "#D55E00"
_COLOURS = ("#56B4E9", "#D55E00", "#009E73")
_KINDS = {"general": "#0072B2", "bound": INK, "codec": "#D55E00"}
_WIDE = 4.8
MAGNITUDE_TOP = 3000.0
"""Brightest magnitude of the nested picture; the scale is logarithmic from 1."""


def _figure(tall: float) -> Figure:
    return Figure(figsize=(_WIDE, tall), dpi=150, layout="constrained", facecolor="none")


def _axes(figure: Figure) -> Axes:
    """The one chart style: light grid, no box."""
    axes = figure.add_subplot(facecolor="none")
    axes.grid(color=INK, alpha=0.25, lw=0.6)
    axes.tick_params(which="both", colors=INK, labelsize=10, length=0)
    for part in (axes.xaxis.label, axes.yaxis.label):
        part.set_color(INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def map_pixels(values: np.ndarray, colours: str, low: float, high: float) -> np.ndarray:
    """(H, W) values as pixels of a colour map that spans ``low`` to ``high``: uint8 (H, W, 3)."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return (colormaps[colours](share)[..., :3] * 255).astype(np.uint8)


def nested_pixels(magnitudes: np.ndarray, scales: Sequence[int]) -> np.ndarray:
    """The nested picture as pixels, uint8 (H, W, 3): log magnitude in cividis, hairlines between.

    Args:
        magnitudes: (H, W), in the latents' own unit.
        scales: the subbands' scales, whose edges are drawn.
    """
    bright = np.log10(np.maximum(magnitudes, 1.0)) / np.log10(MAGNITUDE_TOP)
    pixels = (colormaps["cividis"](np.clip(bright, 0, 1))[..., :3] * 255).astype(np.uint8)
    height, width = magnitudes.shape
    for scale in scales:
        row, column = height // scale, width // scale
        pixels[row, : 2 * column] = pixels[: 2 * row, column] = (203, 213, 225)
    return pixels


def grey_pixels(plane: np.ndarray, top: float) -> np.ndarray:
    """A signed plane (H, W) as grey pixels, uint8 (H, W, 3), black at -top and white at top."""
    grey = np.clip(127.5 * (1 + plane / (top or 1.0)), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def tint(share: float) -> tuple[int, int, int]:
    """A pale blue, the deeper the larger ``share`` (0 to 1) is; black text is read on it."""
    red, green, blue = (round(255 - share * fall) for fall in (150, 80, 20))
    return red, green, blue


def enlarged(pixels: np.ndarray, side: int = 320) -> np.ndarray:
    """Small pixels (h, w, 3) repeated until the longest side is about ``side``."""
    times = max(1, side // max(pixels.shape[:2]))
    return pixels.repeat(times, 0).repeat(times, 1)


def histogram(before: np.ndarray, reduced: np.ndarray) -> Figure:
    """Values of a subband around zero, in steps, before rounding and after it."""
    reach = 4.5
    edges = np.arange(-reach, reach + 0.01, 0.1)
    figure = _figure(3.3)
    axes = _axes(figure)
    axes.set_yscale("log")
    levels = np.arange(-4, 5)
    axes.vlines(levels, 0.7, [max(0.7, np.sum(reduced == q)) for q in levels], color=REDUCED,
                lw=2.2, label="rounded")  # fmt: skip
    axes.minorticks_off()
    counts = np.histogram(before, edges)[0]
    axes.stairs(counts, edges, baseline=None, color=BEFORE, lw=1.6, label="before")
    axes.set(xlim=(-reach, reach), xticks=levels, ylim=(0.7, None))
    axes.set_xlabel("latent, in steps", fontsize=11)
    axes.set_ylabel("latents per 0.1 step", fontsize=11)
    _legend(figure, axes, 2)
    return figure


def signed_decibels(gain: float) -> str:
    """A gain in dB with its sign, and none where it rounds to zero."""
    text = f"{gain:+.2f} dB".replace("-", "−")
    return text[1:] if text[1:] == "0.00 dB" else text


def _legend(figure: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False,
                  labelcolor=INK, fontsize=10, handlelength=1.4, columnspacing=1.2)  # fmt: skip


def errors_in_bin(reduced: np.ndarray, restored: np.ndarray) -> Figure:
    """How far the value kept is from the true one, in steps, before and after restoration."""
    edges = np.linspace(-1, 1, 61)
    figure = _figure(3.3)
    axes = _axes(figure)
    for values, colour, label in (
        (reduced, REDUCED, "quantized"),
        (restored, RESTORED, "restored"),
    ):
        share = np.histogram(values, edges)[0] / max(1, values.size) * 100
        rms = float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
        axes.stairs(share, edges, color=colour, fill=colour == REDUCED,
                    alpha=0.45 if colour == REDUCED else 1, lw=2,
                    label=f"{label}: RMS {rms:.3f}")  # fmt: skip
    axes.set(xlim=(-1, 1), ylim=(0, None))
    axes.set_xlabel("true value − value kept, in steps", fontsize=11)
    axes.set_ylabel("share, %", fontsize=11)
    _legend(figure, axes, 2)
    return figure


def bytes_by_scale(names: Sequence[str], parts: np.ndarray, colours: Sequence[str]) -> Figure:
    """Stacked bars: bytes of each scale (rows of ``parts``) by colour (its columns)."""
    figure = _figure(3.1)
    axes = _axes(figure)
    places = np.arange(len(names))
    left = np.zeros(len(names))
    for column, (name, colour) in enumerate(zip(colours, _COLOURS, strict=True)):
        axes.barh(places, parts[:, column], left=left, color=colour, height=0.62, label=name)
        left += parts[:, column]
    total = parts.sum() or 1.0
    for place, n_bytes in zip(places, left, strict=True):
        axes.annotate(f"{100 * n_bytes / total:.0f} %", (n_bytes, place), (4, 0),
                      textcoords="offset points", va="center", color=INK, fontsize=11)  # fmt: skip
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.16 * max(1.0, left.max()))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("bytes in the file", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    _legend(figure, axes, 3)
    return figure


def packings(names: Sequence[str], sizes: Sequence[float], kinds: Sequence[str]) -> Figure:
    """Bytes of the same integers, one bar a compressor."""
    figure = _figure(3.4)
    axes = _axes(figure)
    places = np.arange(len(names))
    in_kb = [size / 1000 for size in sizes]
    axes.barh(places, in_kb, color=[_KINDS[kind] for kind in kinds], height=0.62)
    for place, size in zip(places, in_kb, strict=True):
        axes.annotate(f"{size:.2f}" if size < 10 else f"{size:.1f}", (size, place), (4, 0),
                      textcoords="offset points", va="center", color=INK, fontsize=11)  # fmt: skip
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(in_kb))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("kB (1000 bytes)", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def gains(names: Sequence[str], before: np.ndarray, after: np.ndarray) -> Figure:
    """Squared error in each scale before and after restoration, and the gain in dB."""
    figure = _figure(3.3)
    axes = _axes(figure)
    places = np.arange(len(names))
    axes.barh(places - 0.19, before, height=0.36, color=REDUCED, label="quantized")
    axes.barh(places + 0.19, after, height=0.36, color=RESTORED, label="restored")
    for place, a, b in zip(places, before, after, strict=True):
        gain = 10 * np.log10(a / b) if a > 0 and b > 0 else 0.0
        axes.annotate(signed_decibels(gain), (max(a, b), place), (5, 0), textcoords="offset points",
                      va="center", color=INK, fontsize=11)  # fmt: skip
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max(1e-9, float(max(before.max(), after.max()))))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("squared error per sample, grey levels²", fontsize=11)
    _legend(figure, axes, 2)
    return figure


def assumed(psnr: Mapping[int, float], levels: int, quantized: float) -> Figure:
    """PSNR by the N that the network assumes; the true N, and no network, for comparison."""
    figure = _figure(3.1)
    axes = _axes(figure)
    axes.set_xscale("log", base=2)
    axes.axhline(quantized, color=REDUCED, ls="--", lw=1.6, label="no network")
    axes.axvline(levels, color=INK, ls=":", lw=1.4)
    ordered = sorted(psnr)
    # A collapse would squeeze all the rest together: the axis ends 3 dB under the best.
    bottom = max(min(*psnr.values(), quantized), max(psnr.values()) - 3) - 0.12
    axes.plot(ordered, [max(psnr[n], bottom) for n in ordered], "o-", color=RESTORED, lw=1.8, ms=6,
              label="restored")  # fmt: skip
    axes.set_ylim(bottom, max(*psnr.values(), quantized) + 0.12)
    ticks = [levels / 4, levels / 2, levels, 2 * levels, 4 * levels]
    axes.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(levels / 4.5, levels * 4.5)
    axes.set_xlabel(f"assumed N (the true N is {levels})", fontsize=11)
    axes.set_ylabel("PSNR, dB", fontsize=11)
    _legend(figure, axes, 2)
    return figure


def sensitivity(gains: np.ndarray, scales: Sequence[str], colours: Sequence[str]) -> Figure:
    """The learned gains (levels, orientations, colours): each, and the mean over orientations."""
    figure = _figure(3.3)
    axes = _axes(figure)
    places = np.arange(len(gains))
    axes.set_yscale("log")
    for number, (colour, ink) in enumerate(zip(colours, _COLOURS, strict=True)):
        axes.plot(places, gains[:, :, number].mean(1), "o-", color=ink, lw=2, ms=5, label=colour)
        axes.plot(places, gains[:, :, number], "_", color=ink, ms=9, alpha=0.7)
    axes.axhline(1, color=INK, ls=":", lw=1.2)
    axes.set_xticks(places, scales)
    ticks = [
        tick for tick in (0.25, 0.5, 1, 2, 4) if 0.7 * gains.min() <= tick <= 1.4 * gains.max()
    ]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("scale of the details, coarse to fine", fontsize=11)
    axes.set_ylabel("gain (no unit)", fontsize=11)
    _legend(figure, axes, 3)
    return figure


def companding(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """What companding does: the value that is rounded over the scaled latent, for each colour."""
    figure = _figure(3.3)
    axes = _axes(figure)
    for (name, (x, y)), ink in zip(curves.items(), _COLOURS, strict=True):
        axes.plot(x, y, color=ink, lw=2, label=name)
        axes.plot(x, x, color=INK, ls=":", lw=1.2)
    axes.set_xlabel("latent × gain, grey levels", fontsize=11)
    axes.set_ylabel("value that is rounded, grey levels", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    _legend(figure, axes, 3)
    return figure


def unet(widths: Sequence[int], down: int, up: int, scales: Sequence[int]) -> Figure:
    """The restoration network: one row a resolution, the embedding of N into every block.

    Args:
        widths: features at every level, finest first.
        down, up: residual blocks per level on each way.
        scales: 1/scale of the image's size at every level.
    """
    figure = _figure(3.9)
    axes = figure.add_subplot(facecolor="none")
    axes.set(xlim=(0, 10), ylim=(-1.75, len(widths) + 0.35))
    axes.set_axis_off()
    for level, (width, scale) in enumerate(zip(widths, scales, strict=True)):
        y, inset = len(widths) - 1 - level, 0.42 * level
        left, right = 1.5 + inset, 6.75 - inset
        _box(axes, left, y, f"{down} block" + "s" * (down > 1), BEFORE)
        _box(axes, right, y, f"{up} block" + "s" * (up > 1), BEFORE)
        axes.text(0, y + 0.3, f"1/{scale}", color=INK, fontsize=11, va="center")
        axes.text(9.98, y + 0.3, f"{width}", color=INK, fontsize=11, va="center", ha="right")
        if level < len(widths) - 1:
            _arrow(axes, (left + 1.75, y + 0.3), (right, y + 0.3), INK)
            _arrow(axes, (left + 0.9, y), (left + 1.3, y - 0.4), INK)
            _arrow(axes, (right + 0.45, y - 0.4), (right + 0.85, y), INK)
        else:
            _box(axes, 4.12, -0.88, "attention", _COLOURS[2])
            _arrow(axes, (left + 0.9, y), (4.45, -0.28), INK)
            _arrow(axes, (5.55, -0.28), (right + 0.85, y), INK)
    _box(axes, 0.05, -1.65, "N → MLP", RESTORED)
    axes.text(1.95, -1.5, "scale and shift in every block (FiLM)", color=INK, fontsize=10.5,
              va="bottom")  # fmt: skip
    for level in range(len(widths)):
        y, inset = len(widths) - 1 - level, 0.42 * level
        for x in (1.5 + inset, 6.75 - inset):
            axes.plot(x + 1.6, y + 0.47, "o", color=RESTORED, ms=5)
    axes.text(0, len(widths) + 0.05, "size", color=INK, fontsize=10.5, va="center")
    axes.text(9.98, len(widths) + 0.05, "features", color=INK, fontsize=10.5, ha="right",
              va="center")  # fmt: skip
    return figure


def _box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    axes.add_patch(FancyBboxPatch((x, y), 1.75, 0.6, boxstyle="round,pad=0,rounding_size=0.12",
                                  fc=colour + "26", ec=colour, lw=1.4))  # fmt: skip
    axes.text(x + 0.87, y + 0.29, text, color=INK, fontsize=10.5, ha="center", va="center")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=colour,
                                   lw=1.1, shrinkA=0, shrinkB=0))  # fmt: skip


def attention_pixels(pixels: np.ndarray, weights: np.ndarray, longest: int = 768) -> np.ndarray:
    """The photo, dimmed, lit where the clicked position looks: uint8 (H, W, 3).

    Args:
        pixels: the photo, uint8 (H, W, 3).
        weights: (h, w) at 1/16 of its padded size, at least 0.
    """
    grow = max(1, -(-max(pixels.shape[:2]) // longest))
    picture = pixels[::grow, ::grow].astype(np.float32)
    rows = np.minimum(np.arange(picture.shape[0]) * grow // 16, weights.shape[0] - 1)
    columns = np.minimum(np.arange(picture.shape[1]) * grow // 16, weights.shape[1] - 1)
    share = weights / (weights.max() or 1.0)
    bright = np.clip(1 + np.log10(np.maximum(share, 1e-3)) / 3, 0, 1)[rows][:, columns, None]
    grey = picture.mean(2, keepdims=True) * 0.45
    light = colormaps["cividis"](bright[..., 0])[..., :3].astype(np.float32) * 255
    within = (weights > 0)[rows][:, columns, None]
    mixed = np.where(within, 0.35 * picture + 0.65 * light, grey)
    return mixed.clip(0, 255).astype(np.uint8)
