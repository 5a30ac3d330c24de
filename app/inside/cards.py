"""Parts 1 to 4 and the last two of the tab "Inside the codec": an ``Anatomy`` in, HTML out."""

from __future__ import annotations

import json

import numpy as np

from qann_core.metrics import bits_per_pixel
from qann_core.networks.wavelet import COLOURS
from qann_core.quantization import ROUNDING_OFFSET

from ..compress import Result
from ..markup import count, decibels, per_cent, size_text, table
from ..pictures import closer_look
from . import drawings as drawn
from . import plates, stages, words
from .anatomy import Anatomy
from .subbands import SCALE_NAMES, SUBBANDS, Subband

_MEANINGS = ("brightness", "blue minus red", "magenta minus green")


def now(result: Result) -> str:
    """The small picture that stays in view, with what the file costs and gives."""
    height, width = result.restored.shape[:2]
    step = max(1, max(height, width) // 320)
    url = plates.picture_url(np.ascontiguousarray(result.restored[::step, ::step]))
    gain = f"{result.gain:+.2f}".replace("-", "−")
    return (
        f"<div class='now'><img src='{url}' width='{width}' height='{height}' "
        f"alt='The restored picture at N = {result.levels}'><p><b>N = {result.levels}</b>"
        f"<span>{size_text(len(result.data))}, {result.bits_per_pixel:.3f} bits per pixel</span>"
        f"<span>PSNR {decibels(result.psnr_restored)}</span>"
        f"<span>{gain} dB by restoration</span></p></div>"
    )


def image(anatomy: Anatomy) -> str:
    """The photo and its three colours."""
    shares = stages.colour_shares(anatomy)
    height, width = anatomy.photo.pixels.shape[:2]
    step = max(1, width // 768)
    photo = anatomy.photo.pixels[::step, ::step]
    planes = stages.colour_planes(photo)
    top = float(np.percentile(np.abs(planes), 99.5))
    shown = [
        plates.picture(
            drawn.grey_pixels(plane, top), f"{colour}, {meaning}: {per_cent(share)}",
            f"The photo's colour {colour}, {meaning}, as a grey picture.",
        )
        for plane, colour, share, meaning in zip(planes, COLOURS, shares, _MEANINGS, strict=True)
    ]  # fmt: skip
    size = f"{width} × {height} pixels, {size_text(height * width * 3)} raw"
    return plates.head(
        per_cent(shares[0]), "of this photo's variance is brightness, Y", words.IMAGE
    ) + plates.plates(
        plates.picture(photo, "The photo", "The photo as it came.", size), *shown, kind="four"
    )


def latents(anatomy: Anatomy, index: int) -> str:
    """The subbands, nested, with what there is to say about the chosen one; the residual."""
    chosen = SUBBANDS[index]
    energy = sum(stages.subband_facts(anatomy, s).share_of_energy for s in SUBBANDS[:3])
    return (
        plates.head(
            per_cent(energy), "of the latents' energy is in LL, 1/256 of them", words.LATENTS
        )
        + _colour_buttons(chosen)
        + plates.plates(*_nested(anatomy, chosen), _residual(anatomy), kind="three")
        + _facts(anatomy, chosen)
    )


def _colour_buttons(chosen: Subband) -> str:
    """One for each colour: the same plane of it."""
    same = [
        (index, s) for index, s in enumerate(SUBBANDS)
        if (s.orientation, s.scale) == (chosen.orientation, chosen.scale)
    ]  # fmt: skip
    buttons = "".join(
        f"<button type='button' data-index='{index}' title='{s.name}' "
        f"aria-pressed='{'true' if s is chosen else 'false'}'>{s.colour}</button>"
        for index, s in same
    )
    return f"<div class='chips' role='group' aria-label='Colour'><span>Colour</span>{buttons}</div>"


def _nested(anatomy: Anatomy, chosen: Subband) -> list[str]:
    colour = COLOURS.index(chosen.colour)
    scales = sorted({s.scale for s in SUBBANDS})
    numbered = [(i, s) for i, s in enumerate(SUBBANDS) if s.colour == chosen.colour]
    legend = plates.scale(
        "cividis", ("≤ 1", f"≥ {drawn.MAGNITUDE_TOP:.0f}"), "magnitude, grey levels, log scale"
    )
    shown = []
    for reduced, state in ((False, "before rounding"), (True, f"rounded, N = {anatomy.levels}")):
        pixels = drawn.nested_pixels(stages.magnitudes(anatomy, colour, reduced), scales)
        alt = (
            f"The subbands of {chosen.colour} {state}, nested: the coarse picture in the upper "
            "left corner, finer details around it; brighter means a larger magnitude."
        )
        hot = plates.hot_subbands(pixels, numbered, SUBBANDS.index(chosen), alt)
        shown.append(plates.plate(hot + legend, f"{chosen.colour} {state}"))
    return shown


def _facts(anatomy: Anatomy, chosen: Subband) -> str:
    facts = stages.subband_facts(anatomy, chosen)
    cells = (
        ("of the bytes", per_cent(facts.share_of_bytes)),
        ("of the energy", per_cent(facts.share_of_energy)),
        ("distinct values before", count(facts.distinct_before)),
        ("distinct values after", count(facts.distinct_after)),
        ("zeros after", per_cent(facts.zeros)),
    )
    return f"<h3>Subband {chosen.name}</h3>" + plates.cards(cells, f"Subband {chosen.name}")


def _residual(anatomy: Anatomy) -> str:
    residual = stages.learned_residual(anatomy)
    top = max(0.5, float(np.percentile(np.abs(residual), 99.5)))
    rms = float(np.sqrt(np.mean(np.square(residual))))
    return plates.map_plate(
        drawn.map_pixels(residual, "PuOr", -top, top), "What the network added",
        "A map of the encoder network's correction, seen through the inverse wavelet; it is "
        "strongest along edges and in texture.",
        plates.scale("PuOr", (f"−{top:.1f}", f"{top:.1f}"), f"grey levels; RMS {rms:.2f}"),
    )  # fmt: skip


def levels(anatomy: Anatomy) -> str:
    """What N means: the toy, and one subband's values before and after rounding."""
    before, after = stages.distinct_values(anatomy)
    details = np.concatenate([band.ravel() for band in anatomy.quantized.bands[1:]])
    return (
        plates.head(
            f"{count(before)} → {count(after)}",
            f"distinct values; {per_cent(float(np.mean(details == 0)))} of the details are zeros",
            words.LEVELS,
        )
        + _toy(anatomy)
        + plates.plates(plates.chart(
            drawn.histogram(anatomy.true(_SHOWN), anatomy.integers(_SHOWN)),
            f"{_SHOWN.name} around zero",
            "Histogram of latents in steps: a smooth hill before rounding, and spikes at the whole "
            "numbers after it; the one at zero is by far the tallest.",
        ))
    )  # fmt: skip


_SHOWN = next(s for s in SUBBANDS if s.name == "HL 1/8 Y")

_TOY_ROWS = {
    "pixels": "Pixels, grey levels",
    "latents": "Average, then differences, coarse to fine (grey levels)",
    "integers": "Divided by the step and rounded: what is stored",
    "back": "Pixels again, grey levels",
}
_TOY_FACTS = {"step": "step", "zeros": "zeros", "bytes": "in Elias's gamma code",
              "error": "RMS error"}  # fmt: skip


def _toy(anatomy: Anatomy) -> str:
    """An empty toy with the pixels that it begins with; toy.js fills it."""
    rows = stages.pixel_rows(anatomy.photo.pixels)
    lines = "".join(
        f"<tr><th colspan='16' scope='rowgroup'>{title}</th></tr>"
        f"<tr data-row='{name}'>{'<td></td>' * 16}</tr>"
        for name, title in _TOY_ROWS.items()
    )
    facts = "".join(
        f"<div class='card'><span class='label'>{meaning}</span>"
        f"<span class='value' data-say='{name}'></span></div>"
        for name, meaning in _TOY_FACTS.items()
    )
    return (
        f"<figure class='plate toy' data-pixels='{json.dumps(rows)}' data-levels='{anatomy.levels}'"
        f" data-offset='{ROUNDING_OFFSET}'><figcaption>Try it on one row of pixels</figcaption>"
        f"<p class='part-text'>{words.TOY}</p><table>{lines}</table>"
        f"<div class='cards facts' role='group' aria-label='The row'>{facts}</div>"
        "<button type='button' class='plain' data-another>Another row</button></figure>"
    )


def packed(anatomy: Anatomy) -> str:
    """Where the bytes go, and what other compressors make of the same integers."""
    height, width = anatomy.photo.pixels.shape[:2]
    rate = f"the whole file, {bits_per_pixel(len(anatomy.data), height, width):.3f} bits per pixel"
    parts = np.zeros((len(SCALE_NAMES), len(COLOURS)))
    for subband, n_bytes in anatomy.bytes_of.items():
        parts[subband.band, COLOURS.index(subband.colour)] += n_bytes
    shares = ", ".join(
        f"{name} {per_cent(share)}"
        for name, share in zip(SCALE_NAMES, parts.sum(1) / (parts.sum() or 1), strict=True)
    )
    by_scale = plates.chart(
        drawn.bytes_by_scale(SCALE_NAMES, parts, COLOURS), "Where the bytes go",
        f"Stacked bars of bytes by scale and colour: {shares}.",
    )  # fmt: skip
    head = plates.head(size_text(len(anatomy.data)), rate, words.BYTES)
    return head + plates.plates(by_scale, _packings(anatomy))


def _packings(anatomy: Anatomy) -> str:
    found = stages.packings(anatomy)
    best = min((p for p in found if p.kind == "general"), key=lambda p: p.n_bytes)
    saved = 1 - next(p.n_bytes for p in found if p.kind == "codec") / best.n_bytes
    comparison = "less" if saved >= 0 else "more"
    sizes = ", ".join(f"{p.name} {p.n_bytes:.0f} bytes" for p in found)
    names, lengths, kinds = zip(*((p.name, p.n_bytes, p.kind) for p in found), strict=True)
    return plates.chart(
        drawn.packings(names, lengths, kinds), "The same integers, packed in other ways",
        f"Bars of bytes: {sizes}.",
        f"Orange: this codec, {per_cent(abs(saved))} {comparison} than {best.name}. Blue: general "
        "compressors, one byte an integer. Grey: the zero-order entropy.",
    )  # fmt: skip


def synthesis(anatomy: Anatomy) -> str:
    """The picture, with and without the decoder's network."""
    plain = stages.without_decoder_network(anatomy)
    restored, original = anatomy.picture_restored, anatomy.photo.pixels
    rows, columns = closer_look(original, anatomy.picture_quantized, restored)
    reached = decibels(anatomy.psnr(restored))
    crops = (
        (plain, f"Wavelet alone: {decibels(anatomy.psnr(plain))}"),
        (restored, f"With the network: {reached}"),
        (original, "The original"),
    )
    height, width = original.shape[:2]
    bpp = bits_per_pixel(len(anatomy.data), height, width)
    step = max(1, width // 1024)
    whole = (
        (restored, f"From the file: {size_text(len(anatomy.data))}", "The restored picture."),
        (original, f"The photo: {size_text(original.nbytes)} raw", "The photo as it came."),
    )
    return (
        plates.head(reached, f"PSNR at {bpp:.3f} bits per pixel; raw pixels have 24 bits",
                    words.SYNTHESIS)
        + plates.plates(*(_crop(pixels, rows, columns, label) for pixels, label in crops),
                        kind="crops")
        + plates.plates(*(
            plates.picture(np.ascontiguousarray(pixels[::step, ::step]), label, alt)
            for pixels, label, alt in whole
        ))
    )  # fmt: skip


def _crop(pixels: np.ndarray, rows: slice, columns: slice, label: str) -> str:
    crop = np.ascontiguousarray(pixels[rows, columns])
    return plates.picture(crop, label, f"{label}, a magnified crop.")


def alternatives(anatomy: Anatomy) -> str:
    """Other quantizers: pictures and numbers at the same bytes."""
    found = anatomy.alternatives
    rows, columns = stages.box_of_largest(stages.disagreement(anatomy), 96)
    pictures = (*((each.label, each.pixels) for each in found), ("Photo", anatomy.photo.pixels))
    lines = [
        (each.label, f"{count(each.n_bytes)} B", decibels(each.psnr), f"{each.ssim:.4f}")
        for each in found
    ]
    quality = decibels(anatomy.psnr(anatomy.picture_restored))
    return (
        plates.head(
            size_text(len(anatomy.data)), f"for each way; uniform + QANN reaches {quality}",
            words.ALTERNATIVES,
        )
        + plates.plates(*(_crop(pixels, rows, columns, label) for label, pixels in pictures),
                        kind="five")
        + "<p class='quiet'>The crop is where the pictures differ most. Only the second one has "
        "been through the restoration network.</p>"
        + table(("Quantizer", "Bytes", "PSNR", "SSIM"), lines, "Quantizers on this photo")
    )  # fmt: skip
