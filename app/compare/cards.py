"""Figures, sources and lists of the tab "Compare" as HTML. Plain data in, text out."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from qann_core.models import ModelInfo

from ..compress import Draft, Result
from ..examples import Credit, credit_of
from ..markup import decibels, size_text, table
from ..photos import Photo
from .words import TIPS


def verdict(photo: Photo, draft: Draft) -> str:
    """The figures of a result, as cards that explain themselves on hover, tap and focus.

    Of a ``Draft``, the figures of the restored picture are still on their way.
    """
    height, width = photo.pixels.shape[:2]
    result = draft if isinstance(draft, Result) else None
    cards = [
        _card("file", size_text(len(draft.data)), f"{draft.bits_per_pixel:.3f} bits per pixel",
              TIPS["bytes"], "strong"),
        _card("compression ratio", f"{_ratio(draft.ratio)} : 1", f"{width} × {height} raw pixels",
              TIPS["ratio"]),
        _gain(result),
        _jpeg(result),
        _psnr(result),
        _eye(result),
        _ssim(result),
        _last(draft),
    ]  # fmt: skip
    return f"<div class='cards' role='list' aria-label='The figures'>{''.join(cards)}</div>"


def _gain(result: Result | None) -> str:
    value = f"{result.gain:+.2f} dB" if result else "…"
    return _card("gain of restoration", value, "for no byte", TIPS["gain"], "strong")


def _jpeg(result: Result | None) -> str:
    if result is None:
        return _card("against JPEG", "…", "at the same PSNR", TIPS["jpeg"])
    saving = result.saving_over_jpeg
    if saving is None:
        return _card("against JPEG", "–", "JPEG cannot reach this PSNR", TIPS["jpeg"])
    fewer = "fewer bytes" if saving >= 0 else "more bytes"
    return _card(f"{fewer} than JPEG", f"{abs(saving):.0f} %", "at the same PSNR", TIPS["jpeg"])


def _psnr(result: Result | None) -> str:
    if result is None:
        return _pair("PSNR", "…", "…", "psnr")
    return _pair("PSNR", decibels(result.psnr_quantized), decibels(result.psnr_restored), "psnr")


def _ssim(result: Result | None) -> str:
    if result is None or result.ssim_restored is None:
        return _pair("SSIM", "…", "…", "ssim")
    return _pair("SSIM", f"{result.ssim_quantized:.4f}", f"{result.ssim_restored:.4f}", "ssim")


def _eye(result: Result | None) -> str:
    if result is None or not result.judged:
        return _pair("SSIMULACRA 2", "…", "…", "eye")
    before, after = result.ssimulacra2_quantized, result.ssimulacra2_restored
    if before is None or after is None:
        return _card("SSIMULACRA 2", "–", "needs 225 pixels a side", TIPS["eye"])
    return _pair("SSIMULACRA 2", f"{before:.1f}", f"{after:.1f}", "eye")


def _last(draft: Draft) -> str:
    if draft.encode_seconds is None:
        return _card("step", f"{draft.step:.1f}", f"at N = {draft.levels}", TIPS["step"])
    decoder = _seconds(draft.decode_seconds) if isinstance(draft, Result) else "…"
    encoder = f"encoder {_seconds(draft.encode_seconds)}"
    return _card("decoder", decoder, encoder, TIPS["seconds"])


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _card(label: str, value: str, note: str, tip: str, kind: str = "") -> str:
    spoken = escape(f"{label}: {value}, {note}. {tip}", quote=True)
    return (
        f"<div class='card {kind}' tabindex='0' role='listitem' aria-label=\"{spoken}\""
        f' data-tip="{escape(tip, quote=True)}"><span class="label">{label}</span>'
        f"<span class='value'>{value}</span><span class='note'>{note}</span></div>"
    )


def _pair(label: str, before: str, after: str, tip: str) -> str:
    return _card(label, after, f"unrestored {before}", TIPS[tip])


def source(photo: Photo) -> str:
    """The photo's size and, for an example, whose picture it is; as text."""
    height, width = photo.pixels.shape[:2]
    size = f"{width} × {height} pixels"
    if not photo.bundled:
        return f"{photo.name} · {size}"
    credit = credit_of(photo.name)
    return f"“{credit.title}” by {credit.author}, {credit.licence} · {size}"


def credit_list(credits: Iterable[Credit]) -> str:
    """Whose pictures the examples are."""
    rows = ([c.title, c.author, c.licence, c.source] for c in credits)
    return table(("Picture", "Author", "Licence", "Source"), rows, "Credits of the examples")


def model_list(models: Iterable[ModelInfo]) -> str:
    """What each bundled model is, in a sentence."""
    lines = (f"<b>{escape(info.name)}</b>: {escape(info.summary)}" for info in models)
    return f"<p class='quiet'>{'<br>'.join(lines)}</p>"
