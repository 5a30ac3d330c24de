"""HTML of the tab "Inside the codec": a stage's head, figures with alternative texts, hot pictures.

Plain data in, text out. A *plate* is a figure with its caption.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from .anatomy import Subband
from .stages import box_of
from .words import linked

HOT = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-index]');
  if (button) { trigger('select', { index: Number(button.dataset.index), value: button.title }); }
});
"""
"""What a hot picture's component runs when it is loaded: a button's click becomes a selection."""

POINT = """
element.addEventListener('click', (event) => {
  if (event.target.tagName !== 'IMG') { return; }
  const box = event.target.getBoundingClientRect();
  const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  trigger('select', { index: at, value: 'point' });
});
"""
"""The same for a picture in which any point can be chosen, as shares of its width and height."""


def head(number: str, meaning: str, text: str) -> str:
    """A stage's number, with what it counts, and its sentences."""
    return (
        f"<div class='stage-head'><p class='stage-number'><b>{escape(number)}</b>"
        f"<span>{escape(meaning)}</span></p><p class='stage-text'>{linked(text)}</p></div>"
    )


def heading(title: str, text: str) -> str:
    """The title and sentences of a part of a stage."""
    return f"<h3>{title}</h3><p class='stage-text'>{linked(text)}</p>"


def plates(*figures: str, kind: str = "") -> str:
    """Figures beside each other where there is room.

    Args:
        kind: "" for two large ones a row, "three", "four", or "crops" for three at any width.
    """
    return f"<div class='plates {kind}'>{''.join(figures)}</div>"


def plate(figure: Figure, title: str, alt: str, note: str = "") -> str:
    """A chart or map with its title, its alternative text and a note under it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    return _plate(picture_url(pixels), pixels.shape[1], pixels.shape[0], title, alt, note)


def picture_plate(pixels: np.ndarray, title: str, alt: str, note: str = "") -> str:
    """Pixels, uint8 (H, W, 3), with title, alternative text and a note."""
    return _plate(picture_url(pixels), pixels.shape[1], pixels.shape[0], title, alt, note)


def _plate(url: str, width: int, height: int, title: str, alt: str, note: str) -> str:
    caption = f"<span class='quiet'>{note}</span>" if note else ""
    return (
        f"<figure class='plate'><figcaption>{title}</figcaption>"
        f"<img src='{url}' width='{width}' height='{height}' alt=\"{escape(alt, quote=True)}\">"
        f"{caption}</figure>"
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
    height, width = pixels.shape[:2]
    buttons = ""
    for index, subband in subbands:
        left, top, side = (f"{100 * share:.4f}%" for share in box_of(subband))
        pressed = "true" if index == chosen else "false"
        buttons += (
            f"<button type='button' data-index='{index}' title='{subband.name}' "
            f"aria-label='Subband {subband.name}' aria-pressed='{pressed}' "
            f"style='left:{left};top:{top};width:{side};height:{side}'></button>"
        )
    return (
        f"<div class='hot' style='max-width:{_fitting(width, height)}px'>"
        f"<img src='{picture_url(pixels)}' width='{width}' height='{height}' "
        f'alt="{escape(alt, quote=True)}">{buttons}</div>'
    )


def hot_point(pixels: np.ndarray, across: float, down: float, alt: str) -> str:
    """A picture in which a point can be chosen, with a ring at the present one."""
    height, width = pixels.shape[:2]
    return (
        f"<div class='hot point' style='max-width:{_fitting(width, height)}px'>"
        f"<img src='{picture_url(pixels)}' width='{width}' height='{height}' "
        f'alt="{escape(alt, quote=True)}">'
        f"<span class='ring' style='left:{100 * across:.2f}%;top:{100 * down:.2f}%'></span></div>"
    )


def _fitting(width: int, height: int, tall: int = 560) -> int:
    """The width in CSS pixels at which a picture is at most ``tall`` high."""
    return min(900, round(tall * width / height))


def scale_legend(low: str, high: str, label: str) -> str:
    """The colours of the nested picture, from small to large."""
    return (
        f"<div class='scale'><span>{low}</span><i role='img' aria-label='dark blue to yellow'></i>"
        f"<span>{high}</span><span class='quiet'>{label}</span></div>"
    )
