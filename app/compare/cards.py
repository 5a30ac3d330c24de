"""HTML of the page: captions, the verdict, the closer look, tables. Plain data in, text out."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np

from qann_core.models import ModelInfo

from ..compress import Result
from ..examples import Credit
from ..markup import decibels, size_text, table
from ..pictures import data_url
from ..session import Photo
from .words import TIPS

SIDES = {
    "original": "Original",
    "quantized": "Quantized only",
    "restored": "Restored",
    "jpeg": "JPEG, same bytes",
    "webp": "WebP, same bytes",
    "avif": "AVIF, same bytes",
}


def side_caption(name: str, photo: Photo, result: Result) -> str:
    """What one side of the divider is: name, quality, bytes."""
    size = size_text(len(result.data))
    if name == "original":
        detail = f"24 bits per pixel · {size_text(photo.pixels.nbytes)} raw"
    elif name == "quantized":
        detail = f"{decibels(result.psnr_quantized)} · {size}"
    elif name == "restored":
        detail = f"{decibels(result.psnr_restored)} · {size}, the same file"
    else:
        peer = result.peers[name]
        detail = f"{decibels(peer.psnr)} · {size_text(len(peer.data))} at quality {peer.quality}"
        if not peer.met:
            detail += " <em>(its smallest file; it is over the budget)</em>"
    return f"<b>{SIDES[name]}</b><span>{detail}</span>"


def captions(left: str, right: str, photo: Photo, result: Result) -> str:
    """The line over the picture that names both sides of the divider."""
    return (
        f"<div class='sides'><div class='side'>{side_caption(left, photo, result)}</div>"
        f"<div class='side right'>{side_caption(right, photo, result)}</div></div>"
    )


def verdict(photo: Photo, result: Result) -> str:
    """The figures of a result, as cards that explain themselves on hover, tap and focus."""
    height, width = photo.pixels.shape[:2]
    saving = result.saving_over_jpeg
    if saving is None:
        jpeg = _card("against JPEG", "–", "JPEG cannot reach this PSNR", TIPS["jpeg"])
    else:
        fewer = "fewer bytes" if saving >= 0 else "more bytes"
        jpeg = _card(
            f"{fewer} than JPEG", f"{abs(saving):.0f} %", "at the same PSNR", TIPS["jpeg"], "strong"
        )
    cards = [
        _card("gain of restoration", f"{result.gain:+.2f} dB", "for no byte", TIPS["gain"],
              "strong"),
        jpeg,
        _card("file", size_text(len(result.data)), "header included", TIPS["bytes"]),
        _card("compression ratio", f"{result.ratio:.0f} : 1", "against raw pixels", TIPS["ratio"]),
        _card("bits per pixel", f"{result.bits_per_pixel:.3f}", f"{width} × {height} pixels",
              TIPS["rate"]),
        _card("step", f"{result.step:.1f}", f"at N = {result.levels}", TIPS["step"]),
        _pair("PSNR", decibels(result.psnr_quantized), decibels(result.psnr_restored), "psnr"),
        _pair("SSIM", f"{result.ssim_quantized:.4f}", f"{result.ssim_restored:.4f}", "ssim"),
    ]  # fmt: skip
    exact = f"data-levels='{result.levels}' data-bytes='{len(result.data)}'"
    exact += f" data-model='{result.choice.model}' data-coder='{result.choice.coder}'"
    exact += f" data-effort='{result.choice.effort}'"
    return (
        f"<div class='cards' role='group' aria-label='The verdict' {exact}>{''.join(cards)}</div>"
    )


def _card(label: str, value: str, note: str, tip: str, kind: str = "") -> str:
    spoken = escape(f"{label}: {value}, {note}. {tip}", quote=True)
    return (
        f"<div class='card {kind}' tabindex='0' role='img' aria-label=\"{spoken}\""
        f' data-tip="{escape(tip, quote=True)}"><span class="label">{label}</span>'
        f"<span class='value'>{value}</span><span class='note'>{note}</span></div>"
    )


def _pair(label: str, before: str, after: str, tip: str) -> str:
    return _card(f"{label}, restored", after, f"quantized only {before}", TIPS[tip])


def source(photo: Photo, credits: Iterable[Credit]) -> str:
    """The photo's size and, for an example, whose picture it is."""
    height, width = photo.pixels.shape[:2]
    size = f"{width} × {height} pixels"
    text = f"{escape(photo.name)} · {size}"
    for credit in credits:
        if photo.bundled and credit.name == photo.name:
            text = f"“{escape(credit.title)}” by {escape(credit.author)}, {escape(credit.licence)}"
            text += f" · {size}"
    return f"<p class='quiet'>{text}. Drag the divider; scroll or pinch to zoom.</p>"


def lesson(text: str) -> str:
    """What to look at, in a guided example; empty outside of one."""
    return f"<p class='lesson'>{escape(text)}</p>" if text else ""


def credit_list(credits: Iterable[Credit]) -> str:
    """Whose pictures the examples are."""
    rows = ([c.title, c.author, c.licence, c.source] for c in credits)
    return table(("Picture", "Author", "Licence", "Source"), rows, "Credits of the examples")


def model_list(models: Iterable[ModelInfo]) -> str:
    """What each bundled model is, in a sentence."""
    lines = (f"<b>{escape(info.name)}</b>: {escape(info.summary)}" for info in models)
    return f"<p class='quiet'>{'<br>'.join(lines)}</p>"


def closer(photo: Photo, result: Result) -> str:
    """Three magnified crops of the spot where restoration helps most."""
    rows, columns = result.spot
    height, width = photo.pixels.shape[:2]
    across = 100 * (columns.start + columns.stop) / 2 / width
    down = 100 * (rows.start + rows.stop) / 2 / height
    tiles = "".join(
        f"<figure><img src='{data_url(np.ascontiguousarray(pixels[rows, columns]))}' "
        f"alt='{label}, magnified crop'><figcaption>{label}</figcaption></figure>"
        for label, pixels in (
            ("Quantized only", result.quantized),
            ("Restored", result.restored),
            ("Original", photo.pixels),
        )
    )
    box = f"{columns.stop - columns.start} × {rows.stop - rows.start} pixels"
    where = f"{across:.0f} % from the left, {down:.0f} % from the top"
    return (
        f"<div class='closer'>{tiles}</div><p class='quiet'>Look closer: {box}, {where}. "
        "Nowhere in this photo does restoration remove more error.</p>"
    )
