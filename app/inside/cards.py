"""What each stage of the tab "Inside the codec" shows: an ``Anatomy`` in, HTML out."""

from __future__ import annotations

from functools import cache

import numpy as np

from qann_core import Codec
from qann_core.metrics import bits_per_pixel
from qann_core.quantization import ROUNDING_OFFSET
from qann_core.wavelet import COLOURS

from ..markup import decibels, size_text, table
from ..pictures import closer_look
from . import drawings as drawn
from . import plates, stages, words
from .anatomy import SUBBANDS, Anatomy, Subband

SCALE_NAMES = ("LL 1/16", "1/16", "1/8", "1/4", "1/2")


def per_cent(share: float) -> str:
    """A share from 0 to 1 for people, with three digits at most."""
    value = 100 * share
    return (
        f"{value:.0f} %" if value >= 99.95 else f"{value:.1f} %" if value >= 1 else f"{value:.2g} %"
    )


def count(number: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def image(anatomy: Anatomy) -> str:
    """Stage 1: the photo and its three colours."""
    shares = stages.colour_shares(anatomy)
    height, width = anatomy.photo.pixels.shape[:2]
    step = max(1, width // 768)
    photo = anatomy.photo.pixels[::step, ::step]
    planes = stages.colour_planes(photo)
    top = float(np.percentile(np.abs(planes), 99.5))
    meanings = ("brightness", "blue minus red", "magenta minus green")
    shown = [
        plates.picture_plate(
            drawn.grey_pixels(plane, top), f"{colour}: {per_cent(share)} of the variance",
            f"The photo's colour {colour}, {meaning}, as a grey picture.", meaning,
        )
        for plane, colour, share, meaning in zip(planes, COLOURS, shares, meanings, strict=True)
    ]  # fmt: skip
    return plates.head(
        per_cent(shares[0]), "of this photo's variance is brightness, Y", words.IMAGE
    ) + plates.plates(
        plates.picture_plate(
            photo, "The photo", "The photo as it came.",
            f"{width} × {height} pixels, {size_text(height * width * 3)} raw",
        ),
        *shown, kind="four",
    )  # fmt: skip


def latents_head(anatomy: Anatomy) -> str:
    """Stage 2: its number and sentences."""
    energy = sum(stages.subband_facts(anatomy, s).share_of_energy for s in SUBBANDS[:3])
    return plates.head(
        per_cent(energy), "of the latents' energy lies in LL, 1/256 of them", words.LATENTS
    )


def latents_pictures(anatomy: Anatomy, chosen: Subband) -> str:
    """Stage 2: the nested subbands of the chosen one's colour, before and after reduction."""
    colour = COLOURS.index(chosen.colour)
    scales = sorted({s.scale for s in SUBBANDS})
    numbered = [(i, s) for i, s in enumerate(SUBBANDS) if s.colour == chosen.colour]
    shown = []
    for reduced, state in ((False, "before reduction"), (True, f"at N = {anatomy.levels}")):
        values = stages.magnitudes(anatomy, colour, reduced)
        alt = (
            f"The subbands of {chosen.colour} {state}, nested: the coarse picture in the upper "
            "left corner, finer details around it; brighter means a larger magnitude."
        )
        pixels = drawn.nested_pixels(values, scales)
        hot = plates.hot_subbands(pixels, numbered, SUBBANDS.index(chosen), alt)
        title = f"{chosen.colour} {state}"
        shown.append(f"<figure class='plate'><figcaption>{title}</figcaption>{hot}</figure>")
    legend = plates.scale_legend("≤ 1", f"≥ {drawn.MAGNITUDE_TOP:.0f}", "magnitude, log scale")
    return plates.plates(*shown, kind="pair") + legend


def latents_facts(anatomy: Anatomy, chosen: Subband) -> str:
    """Stage 2: what there is to say about the chosen subband."""
    facts = stages.subband_facts(anatomy, chosen)
    cells = [
        ("of the bytes", per_cent(facts.share_of_bytes)),
        ("of the energy", per_cent(facts.share_of_energy)),
        ("distinct values before", count(facts.distinct_before)),
        ("distinct values after", count(facts.distinct_after)),
        ("zeros after", per_cent(facts.zeros)),
    ]
    shown = "".join(
        f"<div class='card'><span class='label'>{label}</span>"
        f"<span class='value'>{value}</span></div>"
        for label, value in cells
    )
    return (
        f"<div class='cards facts' role='group' aria-label='Subband {chosen.name}'>{shown}</div>"
        "<p class='quiet'>Before: float32 numbers that differ. After: integers that differ.</p>"
    )


def latents_residual(anatomy: Anatomy) -> str:
    """Stage 2: what the encoder's network added."""
    residual = stages.learned_residual(anatomy)
    figure = drawn.signed_map(residual, "grey levels, mean over R, G, B")
    rms = float(np.sqrt(np.mean(np.square(residual))))
    return plates.plate(
        figure, "What the learned residual added",
        "A map of the encoder network's residual, seen through the inverse wavelet; it is "
        "strongest along edges and in texture.",
        f"To the plain wavelet, as a picture: RMS {rms:.2f} grey levels.",
    )  # fmt: skip


def diversity_head(anatomy: Anatomy) -> str:
    """Stage 3: its number and sentences."""
    before, after = stages.distinct_values(anatomy)
    return plates.head(
        f"{count(before)} → {after}", "distinct values in all latents, before and after",
        words.DIVERSITY,
    )  # fmt: skip


def diversity(anatomy: Anatomy, chosen: Subband) -> str:
    """Stage 3: one subband before, reduced and restored."""
    found = stages.offsets(anatomy, chosen)
    busy = found.reduced != 0
    if busy.sum() < 30:
        busy = np.ones_like(busy)
    which = "non-zero integers only" if not busy.all() else "all coefficients"
    fit = f"{found.correlation:+.2f}".replace("-", "−")
    maps = plates.plate(
        drawn.offset_maps(found.true[found.crop], found.guess[found.crop]),
        f"Where the true value lies off its bin's centre: correlation {fit}",
        f"Two maps of {chosen.name}, magnified: true offsets within the bins, and the network's "
        f"guesses, whose correlation over the whole subband is {fit}. The same shapes appear in "
        "both, paler in the guess.",
        f"{chosen.name}, magnified where the two agree most; the correlation is over the whole "
        "subband. A pale guess is an unsure one.",
    )
    values = plates.plate(
        drawn.histogram(found.before, found.reduced, found.restored),
        f"{chosen.name} around zero",
        "Histogram of latents in steps: smooth before reduction, spikes at the whole numbers after "
        "it, and broad humps beside the whole numbers after restoration.",
    )
    errors = plates.plate(
        drawn.errors_in_bin(found.true[busy], (found.before - found.restored)[busy]),
        "The error within a bin",
        "Histograms of the error in steps, quantized and restored; the restored one is narrower "
        "where the network could guess.",
        f"{chosen.name}, {which}.",
    )
    stairs = _staircase(0.5 if chosen.band == 0 else ROUNDING_OFFSET)
    return plates.plates(maps, values, stairs, errors)


@cache  # the same for every photo and N
def _staircase(offset: float) -> str:
    return plates.plate(
        drawn.staircase(offset), "From latent to integer",
        "A staircase: each step of the input becomes one integer; what becomes 0 is shaded.",
    )  # fmt: skip


def brotli_head(anatomy: Anatomy) -> str:
    """Stage 4: its number and sentences."""
    height, width = anatomy.photo.pixels.shape[:2]
    rate = f"the whole file, {bits_per_pixel(len(anatomy.data), height, width):.3f} bits a pixel"
    return plates.head(size_text(len(anatomy.data)), rate, words.BROTLI)


def brotli(anatomy: Anatomy) -> str:
    """Stage 4: where the bytes go."""
    parts = np.zeros((len(SCALE_NAMES), len(COLOURS)))
    for subband, n_bytes in anatomy.bytes_of.items():
        parts[subband.band, COLOURS.index(subband.colour)] += n_bytes
    shares = ", ".join(
        f"{name} {per_cent(share)}"
        for name, share in zip(SCALE_NAMES, parts.sum(1) / (parts.sum() or 1), strict=True)
    )
    return plates.plates(
        plates.plate(
            drawn.bytes_by_scale(SCALE_NAMES, parts, COLOURS), "Where the bytes go",
            f"Stacked bars of bytes by scale and colour: {shares}.",
        ),
        plates.plate(
            drawn.symbols(*stages.symbol_counts(anatomy)), "How often each integer is coded",
            "Bars of how often each integer is coded, on a log scale; zero is by far the most "
            "frequent, and the counts fall on both sides.",
            "LL as the error of its prediction from the neighbours; the ends count all beyond.",
        ),
        kind="pair",
    )  # fmt: skip


def other_packings(anatomy: Anatomy) -> str:
    """Stage 4: what other compressors make of the same integers."""
    found = stages.packings(anatomy)
    best = min((p for p in found if p.kind == "general"), key=lambda p: p.n_bytes)
    saved = 1 - next(p.n_bytes for p in found if p.kind == "codec") / best.n_bytes
    comparison = "less" if saved >= 0 else "more"
    sizes = ", ".join(f"{p.name} {p.n_bytes:.0f}" for p in found)
    return plates.plate(
        drawn.packings([p.name for p in found], [p.n_bytes for p in found],
                       [p.kind for p in found]),
        "The same integers, packed in other ways",
        f"Bars of bytes: {sizes}.",
        f"Orange: this codec, {per_cent(abs(saved))} {comparison} than {best.name}. Blue: general "
        "compressors, a byte an integer, plane after plane. Grey: the zero-order entropy, each "
        "plane's frequencies themselves not counted.",
    )  # fmt: skip


def restoration(anatomy: Anatomy) -> str:
    """Stage 5: the correction, the errors, the gain by scale and the network itself."""
    before = anatomy.psnr(anatomy.picture_quantized)
    after = anatomy.psnr(anatomy.picture_restored)
    errors = stages.errors_by_band(anatomy)
    pictures = (anatomy.picture_quantized, anatomy.picture_restored)
    wrong = [stages.error_map(anatomy, picture) for picture in pictures]
    top = max(1.0, float(np.percentile(wrong[0], 99.5)))
    scale = "RMS error over R, G, B, grey levels"
    maps = [
        plates.plate(
            drawn.heat_map(values, top, scale), f"{title}: mean {values.mean():.2f}",
            f"A map of the error {title[10:]} restoration, brightest along edges.",
        )
        for values, title in zip(wrong, ("The error before", "The error after"), strict=True)
    ]  # fmt: skip
    return plates.head(
        drawn.signed_decibels(after - before),
        f"from {decibels(before)} to {decibels(after)}, for no byte",
        words.QANN,
    ) + plates.plates(
        plates.plate(
            drawn.signed_map(stages.correction(anatomy), "grey levels, mean over R, G, B"),
            "The correction that it made",
            "A map of what restoration changed in the picture: mostly along edges and in texture.",
        ),
        *maps, kind="three",
    ) + "<div class='between'></div>" + plates.plates(
        plates.plate(
            drawn.gains(SCALE_NAMES, *errors), "The gain by scale",
            "Bars of squared error at each scale of the wavelet, before and after restoration, "
            "with the gain in decibels.",
            "The decoded pictures' errors in the wavelet domain; the bars add up to the whole.",
        ),
        _network(anatomy.codec),
    )  # fmt: skip


@cache  # codecs are a few, and stay
def _network(codec: Codec) -> str:
    config = codec.qann.config
    widths = list(config.widths)
    scales = [2 ** (level + 1) for level in range(len(widths))]
    return plates.plate(
        drawn.unet(widths, config.blocks_down, config.blocks_up, scales),
        f"The network: {codec.qann.num_parameters() / 1e6:.1f} million weights",
        "Drawing of the U-Net: four resolutions from 1/2 to 1/16, blocks on the way down and "
        "up, skip connections between them, attention at 1/16; N enters every block.",
        "Orange dots: where the embedding of N enters.",
    )


def lie(anatomy: Anatomy, told: int) -> str:
    """Stage 5: PSNR when the network is told another N."""
    truth, lied = anatomy.psnr_told(anatomy.levels), anatomy.psnr_told(told)
    plain = anatomy.psnr(anatomy.picture_quantized)
    cells = [
        (f"told {told}", decibels(lied), "strong"),
        (f"told the truth, {anatomy.levels}", decibels(truth), ""),
        ("without the network", decibels(plain), ""),
    ]
    shown = "".join(
        f"<div class='card {kind}'><span class='label'>{label}</span>"
        f"<span class='value'>{value}</span></div>"
        for label, value, kind in cells
    )
    figure = drawn.told(anatomy.told, anatomy.levels, plain)
    return (
        f"<div class='cards three' role='status' data-told='{told}' data-psnr='{lied:.4f}'>{shown}"
        "</div>"
    ) + plates.plates(plates.plate(
        figure, "PSNR by the N that it was told",
        "PSNR over the N that the network is told: "
        + ", ".join(f"{decibels(value)} at {n}" for n, value in sorted(anatomy.told.items()))
        + f"; the true N is {anatomy.levels}.",
    ))  # fmt: skip


def attention_picture(anatomy: Anatomy, column: int, row: int) -> str:
    """Stage 5: the photo with what the chosen position looks at."""
    if not anatomy.codec.qann.config.attention_heads:
        return "<p class='quiet'>This model's network has no self-attention.</p>"
    weights = stages.attention(anatomy, row, column)
    pixels = drawn.attention_pixels(anatomy.photo.pixels, weights)
    height, width = anatomy.photo.pixels.shape[:2]
    across, down = (16 * column + 8) / width, (16 * row + 8) / height
    return plates.hot_point(
        pixels, min(across, 1), min(down, 1),
        f"The photo, lit in the window of the position in column {column}, row {row}, where its "
        "attention goes.",
    ) + (
        f"<p class='quiet'>The strongest weight is {weights.max() * (weights > 0).sum():.1f} times "
        "an even share.</p>"
    )  # fmt: skip


def roads_head(anatomy: Anatomy) -> str:
    """The three roads: the bytes that they may take, and what they are."""
    quality = decibels(anatomy.psnr(anatomy.picture_restored))
    return plates.head(
        size_text(len(anatomy.data)), f"for each road; uniform + QANN reaches {quality}",
        words.ROADS,
    )  # fmt: skip


def roads(anatomy: Anatomy) -> str:
    """The three roads: pictures and numbers at the same bytes."""
    found = anatomy.roads
    rows, columns = stages.box_of_largest(stages.disagreement(anatomy), 96)
    pictures = (*((r.label, r.pixels) for r in found), ("The photo", anatomy.photo.pixels))
    crops = [
        plates.picture_plate(
            np.ascontiguousarray(pixels[rows, columns]), label, f"{label}, a magnified crop."
        )
        for label, pixels in pictures
    ]
    lines = [
        (road.label, count(road.n_bytes), decibels(road.psnr), f"{road.ssim:.4f}") for road in found
    ]
    return (
        plates.plates(*crops, kind="five")
        + "<p class='quiet'>The crop is where the four pictures differ most. Only the second road "
        "has a restoration network.</p>"
        + table(("Road", "Bytes", "PSNR", "SSIM"), lines, "The roads on this photo")
    )


def synthesis(anatomy: Anatomy) -> str:
    """Stage 6: the picture, with and without the decoder's network."""
    plain = stages.without_decoder_network(anatomy)
    restored, original = anatomy.picture_restored, anatomy.photo.pixels
    rows, columns = closer_look(original, anatomy.picture_quantized, restored)
    crops = [
        (plain, "Wavelet alone", anatomy.psnr(plain)),
        (restored, "With the network", anatomy.psnr(restored)),
        (original, "The original", None),
    ]
    shown = [
        plates.picture_plate(
            np.ascontiguousarray(pixels[rows, columns]),
            label if value is None else f"{label}: {decibels(value)}",
            f"{label}, a magnified crop.",
        )
        for pixels, label, value in crops
    ]
    height, width = original.shape[:2]
    bpp = bits_per_pixel(len(anatomy.data), height, width)
    step = max(1, width // 1024)
    whole = [
        plates.picture_plate(
            np.ascontiguousarray(pixels[::step, ::step]), f"{label}: {size_text(n_bytes)}", alt
        )
        for pixels, label, n_bytes, alt in (
            (restored, "The picture from the file", len(anatomy.data), "The restored picture."),
            (original, "The photo", original.nbytes, "The photo as it came."),
        )
    ]
    return (
        plates.head(
            decibels(anatomy.psnr(restored)), f"PSNR at {bpp:.3f} bits a pixel; the photo had 24",
            words.SYNTHESIS,
        )
        + plates.plates(*shown, kind="crops")
        + plates.plates(*whole)
    )  # fmt: skip
