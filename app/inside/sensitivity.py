"""Part 3 of the tab "Inside the codec": learned gains and companding, the eye's sensitivity."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from qann_core import Codec
from qann_core.networks.vae import BandCompanding
from qann_core.networks.wavelet import COLOURS, ORIENTATIONS

from . import drawings as drawn
from . import plates, words
from .anatomy import Anatomy
from .subbands import SCALE_NAMES

_NONE = (
    "<p class='part-text'>This model was trained for squared error: every detail is rounded with "
    "the same step, whether the eye sees it or not. The model made for the eye has a step for "
    "each band.</p>"
)


def sensitivity(anatomy: Anatomy) -> str:
    """The quantization matrix as a table, and as charts; one sentence for a model without."""
    found = _tuning(anatomy.codec)
    if found is None:
        return _NONE
    gains, _ = found
    finest, coarsest = gains[-1, :, 0].mean(), gains[0, :, 0].mean()
    return (
        plates.head(
            f"{coarsest / finest:.1f} times",
            "finer steps for the coarsest details of brightness than for the finest",
            words.SENSITIVITY,
        )
        + plates.plates(_matrix(anatomy.step, gains))
        + _charts(anatomy.codec)
    )  # fmt: skip


def _tuning(codec: Codec) -> tuple[np.ndarray, np.ndarray] | None:
    """Gains and exponents, (levels, orientations, colours)."""
    bands = getattr(codec.vae, "bands", None)  # other VAEs have none
    if bands is None:
        return None
    gains, exponents = (
        values.detach().cpu().numpy().reshape(-1, len(ORIENTATIONS), len(COLOURS))
        for values in (bands.gain, bands.exponent)
    )
    return gains, exponents


def _matrix(step: float, gains: np.ndarray) -> str:
    """Each band's step at this N, in grey levels: darker where it is finer."""
    steps = step / gains
    low, high = np.log(steps.min()), np.log(steps.max())
    heads = "".join(f"<th scope='col'>{o} {c}</th>" for o in ORIENTATIONS for c in COLOURS)
    rows = ""
    for name, level in zip(SCALE_NAMES[1:], steps, strict=True):
        cells = ""
        for value in level.ravel():
            share = (np.log(value) - low) / max(high - low, 1e-9)
            red, green, blue = drawn.tint(1 - float(share))
            cells += f"<td style='background:rgb({red} {green} {blue})'>{value:.0f}</td>"
        rows += f"<tr><th scope='row'>{name}</th>{cells}</tr>"
    table = (
        "<div class='scroll'><table class='matrix' aria-label='Step of each band, grey levels'>"
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    note = f"Blue: fine steps. The step before the gains is {step:.0f} grey levels."
    return plates.plate(table, "The step of each band at this N, grey levels", note)


@cache  # codecs are a few, and stay
def _charts(codec: Codec) -> str:
    found = _tuning(codec)
    assert found is not None
    gains, exponents = found
    bands: BandCompanding = codec.vae.bands  # type: ignore[attr-defined]
    x = np.linspace(0, 7000, 200)
    curves = {}
    for number, colour in enumerate(COLOURS):
        a = float(exponents[:, :, number].mean())
        bent = ((x / bands.KNEE + 1) ** a - 1) * bands.KNEE / a
        rounded = bands.bend(torch.from_numpy(bent), bands.overload_slope).numpy()
        curves[f"{colour}, a = {a:.2f}"] = x, rounded
    means = ", ".join(
        f"{colour} " + ", ".join(f"{gain:.2f}" for gain in gains[:, :, number].mean(1))
        for number, colour in enumerate(COLOURS)
    )
    return plates.plates(
        plates.chart(
            drawn.sensitivity(gains, SCALE_NAMES[1:], COLOURS), "The learned gains",
            f"Gains by scale, mean over the orientations, from 1/16 to 1/2: {means}.",
            "Lines: mean over the orientations; dashes: each one. Above 1: finer steps.",
        ),
        plates.chart(
            drawn.companding(curves), "Companding",
            "Curves that bend below the diagonal: large values are rounded more coarsely.",
            "a: mean exponent of each colour. On the dotted line nothing would be bent. Beyond the "
            "kink are the strongest edges; without it they would be cut off.",
        ),
    )  # fmt: skip
