"""Part 5 of the tab "Inside the codec": what the restoration network does. HTML out."""

from __future__ import annotations

from functools import cache

import numpy as np

from qann_core import Codec

from ..markup import decibels
from . import drawings as drawn
from . import plates, stages, words
from .anatomy import Anatomy
from .subbands import SCALE_NAMES


def restoration(anatomy: Anatomy) -> str:
    """The gain, what the network guessed, where it helped, and the network itself."""
    before = anatomy.psnr(anatomy.picture_quantized)
    after = anatomy.psnr(anatomy.picture_restored)
    head = plates.head(
        drawn.signed_decibels(after - before),
        f"from {decibels(before)} to {decibels(after)}, for no byte", words.RESTORATION,
    )  # fmt: skip
    gains = plates.chart(
        drawn.gains(SCALE_NAMES, *stages.errors_by_band(anatomy)), "The gain by scale",
        "Bars of squared error at each scale of the wavelet, before and after restoration, with "
        "the gain in decibels.",
        "Errors of the decoded pictures in the wavelet domain; the bars add up to the whole.",
    )  # fmt: skip
    return (
        head
        + plates.plates(*_guess(anatomy))
        + plates.plates(*_maps(anatomy), kind="three")
        + plates.plates(gains, _network(anatomy.codec))
    )


def _guess(anatomy: Anatomy) -> tuple[str, str]:
    """The true values within their bins beside the estimate, and the errors of both."""
    subband = stages.clearest_subband(anatomy)
    found = stages.offsets(anatomy, subband)
    fit = f"{found.correlation:+.2f}".replace("-", "−")
    truth, guess = (
        plates.picture(
            drawn.enlarged(drawn.map_pixels(values[found.crop], "PuOr", -0.6, 0.6)), title,
            f"{title}: a map of offsets within the bins of {subband.name}, magnified.",
        )
        for values, title in ((found.true, "The truth"), (found.guess, "The guess"))
    )  # fmt: skip
    maps = plates.plate(
        f"<div class='beside'>{truth}{guess}</div>"
        + plates.scale("PuOr", ("−0.6", "0.6"), "steps"),
        f"What rounding took from {subband.name}",
        f"Magnified where the two agree most. Correlation over the whole subband: {fit}.",
    )
    busy = found.reduced != 0
    if busy.sum() < 30:
        busy = np.ones_like(busy)
    which = "all integers" if busy.all() else "integers other than zero"
    errors = plates.chart(
        drawn.errors_in_bin(found.true[busy], (found.before - found.restored)[busy]),
        "The error within a step",
        "Histograms of the error in steps, quantized and restored; the restored one is narrower "
        "where the network could guess.",
        f"{subband.name}, {which}.",
    )
    return maps, errors


def _maps(anatomy: Anatomy) -> list[str]:
    """What restoration changed, and the error before and after it."""
    change = stages.correction(anatomy)
    reach = max(0.5, float(np.percentile(np.abs(change), 99.5)))
    wrong = [
        stages.error_map(anatomy, pixels)
        for pixels in (anatomy.picture_quantized, anatomy.picture_restored)
    ]
    top = max(1.0, float(np.percentile(wrong[0], 99.5)))
    signed = plates.scale("PuOr", (f"−{reach:.1f}", f"{reach:.1f}"), "grey levels")
    error = plates.scale("magma", ("0", f"{top:.0f}"), "RMS error, grey levels")
    shown = [(
        "The correction", drawn.map_pixels(change, "PuOr", -reach, reach), signed,
        "A map of what restoration changed in the picture: mostly along edges and in texture.",
    )] + [
        (f"Error {when}: mean {values.mean():.2f}", drawn.map_pixels(values, "magma", 0.0, top),
         error, f"A map of the error {when} restoration, brightest along edges.")
        for when, values in zip(("before", "after"), wrong, strict=True)
    ]  # fmt: skip
    return [plates.map_plate(pixels, title, alt, scale) for title, pixels, scale, alt in shown]


@cache  # codecs are a few, and stay
def _network(codec: Codec) -> str:
    assert codec.qann is not None  # bundled models have one
    config = codec.qann.config
    widths = list(config.widths)
    scales = [2 ** (level + 1) for level in range(len(widths))]
    return plates.chart(
        drawn.unet(widths, config.blocks_down, config.blocks_up, scales),
        f"The network: {codec.qann.num_parameters() / 1e6:.1f} million weights",
        "Drawing of the U-Net: four resolutions from 1/2 to 1/16, blocks on the way down and "
        "up, skip connections between them, attention at 1/16; N enters every block.",
        "Orange dots: where N enters.",
    )


def assumed(anatomy: Anatomy, levels: int) -> str:
    """PSNR when the network assumes another N."""
    truth, wrong = anatomy.psnr_assuming(anatomy.levels), anatomy.psnr_assuming(levels)
    plain = anatomy.psnr(anatomy.picture_quantized)
    cells = (
        (f"assumed N = {levels}", decibels(wrong)),
        (f"true N = {anatomy.levels}", decibels(truth)),
        ("without the network", decibels(plain)),
    )
    values = ", ".join(f"{decibels(value)} at {n}" for n, value in sorted(anatomy.assumed.items()))
    return (
        f"<div role='status' data-assumed='{levels}' data-psnr='{wrong:.4f}'>"
        + plates.cards(cells, "PSNR by the assumed N")
        + "</div>"
        + plates.plates(plates.chart(
            drawn.assumed(anatomy.assumed, anatomy.levels, plain), "PSNR by the assumed N",
            f"PSNR over the N that the network assumes: {values}; the true N is {anatomy.levels}.",
        ))
    )  # fmt: skip


def attention(anatomy: Anatomy, point: tuple[float, float] | None) -> str:
    """The photo, lit where the place at ``point`` (shares of width and height) looks."""
    if anatomy.codec.qann is None or not anatomy.codec.qann.config.attention_heads:
        return "<p class='part-text'>This model's network has no self-attention.</p>"
    height, width = anatomy.photo.pixels.shape[:2]
    across, down = point or (0.5, 0.5)
    column, row = int(across * (width - 1)) // 16, int(down * (height - 1)) // 16
    weights = stages.attention(anatomy, row, column)
    most = f"{weights.max() * (weights > 0).sum():.1f} times"
    centre = min((16 * column + 8) / width, 1), min((16 * row + 8) / height, 1)
    picture = plates.hot_point(
        drawn.attention_pixels(anatomy.photo.pixels, weights), *centre, (width, height),
        f"The photo, lit in the window of the place in column {column}, row {row}, where its "
        "attention goes.",
    )  # fmt: skip
    head = plates.head(most, "an even share: the largest weight here", words.ATTENTION)
    return f"{head}<div data-place='{column} {row}'>{picture}</div>"
