"""HTML of the tab "Inside the codec": a part's head, and figures with alternative texts.

Plain data in, text out. A *plate* is a figure with its caption.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from .subbands import Subband
from .words import linked


def head(number: str, meaning: str, text: str) -> str:
    """A part's number, with what it counts, and its sentences."""
    return (
        f"<div class='part-head'><p class='part-number'><b>{escape(number)}</b> "
        f"<span>{escape(meaning)}</span></p><p class='part-text'>{linked(text)}</p></div>"
    )


def text(words: str) -> str:
    """Sentences, with their sources as links."""
    return f"<p class='part-text'>{linked(words)}</p>"


def attribute(words: str) -> str:
    """Words as an attribute's value between double quotes."""
    return escape(words, quote=True)


def plates(*figures: str, kind: str = "") -> str:
    """Figures beside each other where there is room.

    Args:
        kind: "" for two large ones a row, "three", "four", or "crops" for three at any width.
    """
    return f"<div class='plates {kind}'>{''.join(figures)}</div>"


def chart(figure: Figure, title: str, alt: str, note: str = "") -> str:
    """A chart with its title, its alternative text and a note under it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return plate(_image(np.asarray(canvas.buffer_rgba()), alt, "chart"), title, note)


def picture(pixels: np.ndarray, title: str, alt: str, note: str = "") -> str:
    """Pixels, uint8 (H, W, 3), with title, alternative text and a note."""
    return plate(_image(pixels, alt), title, note)


def map_plate(pixels: np.ndarray, title: str, alt: str, legend: str) -> str:
    """A map with its scale under it."""
    return plate(_image(pixels, alt) + legend, title)


def plate(content: str, title: str, note: str = "") -> str:
    """Any content, as HTML, with its title and a note."""
    caption = f"<p class='quiet'>{note}</p>" if note else ""
    return f"<figure class='plate'><figcaption>{title}</figcaption>{content}{caption}</figure>"


def cards(cells: Iterable[tuple[str, str]], label: str) -> str:
    """Numbers with their meanings, in a row."""
    shown = "".join(
        f"<div class='card'><span class='label'>{meaning}</span>"
        f"<span class='value'>{number}</span></div>"
        for meaning, number in cells
    )
    return f"<div class='cards facts' role='group' aria-label='{label}'>{shown}</div>"


def _image(pixels: np.ndarray, alt: str, kind: str = "") -> str:
    height, width = pixels.shape[:2]
    return (
        f"<img class='{kind}' src='{picture_url(pixels)}' width='{width}' height='{height}' "
        f'alt="{escape(alt, quote=True)}">'
    )


def picture_url(pixels: np.ndarray) -> str:
    """A picture inside its own address, as WebP of high quality: to look at, not to measure."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=92, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def hot_subbands(
    pixels: np.ndarray, subbands: Iterable[tuple[int, Subband]], chosen: int, alt: str
) -> str:
    """The nested picture with a button over each subband, numbered as given."""
    buttons = ""
    for index, subband in subbands:
        left, top, side = (f"{100 * share:.4f}%" for share in subband.box)
        pressed = "true" if index == chosen else "false"
        buttons += (
            f"<button type='button' data-index='{index}' title='{subband.name}' "
            f"aria-label='Subband {subband.name}' aria-pressed='{pressed}' "
            f"style='left:{left};top:{top};width:{side};height:{side}'></button>"
        )
    return f"<div class='hot' style='{_fitting(pixels)}'>{_image(pixels, alt)}{buttons}</div>"


def hot_point(
    pixels: np.ndarray, across: float, down: float, size: tuple[int, int], alt: str
) -> str:
    """A picture in which a point can be chosen, with a ring at the present one.

    Args:
        across, down: the point, as shares of width and height.
        size: the photo's width and height in pixels.
    """
    return (
        f"<div class='hot point' style='{_fitting(pixels)}' tabindex='0' role='application' "
        f"aria-label='Choose a point: arrow keys move it' data-across='{across:.5f}' "
        f"data-down='{down:.5f}' data-width='{size[0]}' data-height='{size[1]}'>"
        f"{_image(pixels, alt)}<i class='ring' style='left:{100 * across:.2f}%;"
        f"top:{100 * down:.2f}%'></i></div>"
    )


def _fitting(pixels: np.ndarray, tall: int = 560) -> str:
    """The width at which a picture is at most ``tall`` CSS pixels high."""
    height, width = pixels.shape[:2]
    return f"max-width:{min(900, round(tall * width / height))}px"


def scale(colours: str, marks: Iterable[str], label: str) -> str:
    """The scale of a map: its colours, what stands at its ends, and the unit."""
    low, high = marks
    stops = ", ".join(to_hex(colormaps[colours](share / 8)) for share in range(9))
    return (
        f"<p class='scale'><span>{low}</span><i style='background:linear-gradient(90deg, {stops})'>"
        f"</i><span>{high}</span><span class='quiet'>{label}</span></p>"
    )
