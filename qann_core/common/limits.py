"""Every bound on what a .qann file or an image may ask for, in one place and without torch.

A file comes from anyone: each length in it is compared with these before memory is allocated.
"""

import math
from numbers import Real

from .errors import ParameterError

MIN_LEVELS = 16
MAX_LEVELS = 512
"""Bounds on N, the number of distinct values that the latents may take."""

MAX_EFFORT = 16
"""Most passes of optimisation that an encoder may be asked for; more change nothing."""

MAX_SIDE = 65535
"""Longest image side, in pixels: what the header's 16-bit fields can say."""

MAX_PIXELS = 64 * 1024 * 1024
"""Largest image, in pixels (height x width): 64 binary megapixels, about 0.8 GB of latents."""

MAX_UNTRUSTED_PIXELS = 16 * 1024 * 1024
"""Largest image, in pixels, that a file is decoded to unless the caller allows more."""

MAX_PAYLOAD = 256 * 1024 * 1024
"""Longest payload, in bytes: 32 bits per pixel of the largest image, beyond any real file."""

MAX_LATENT_CHANNELS = 64
MAX_LATENT_FACTOR = 64
"""Bounds on the latents of a VAE of one tensor: channels, and pixels per position along a side."""

SSIMULACRA2_MIN_SIDE = 225
"""SSIMULACRA 2 is undefined for shorter sides: its sixth scale, 1/32, would have under 8 pixels."""


def check_whole(name: str, value: int, lowest: int, highest: int) -> int:
    """Returns what the caller knows as ``name`` as an int.

    Raises:
        ParameterError: when it is not a whole number from ``lowest`` to ``highest``.
    """
    # NaN equals nothing, infinity lies outside; None and strings are no numbers at all.
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not lowest <= value <= highest or value % 1:
        raise ParameterError(
            f"{name} is {value}; it must be a whole number from {lowest} to {highest}."
        )
    return int(value)


def check_levels(levels: int) -> int:
    """Returns N as an int; ParameterError unless it is from MIN_LEVELS to MAX_LEVELS."""
    return check_whole("N", levels, MIN_LEVELS, MAX_LEVELS)


def check_effort(effort: int) -> int:
    """Returns the number of passes as an int; ParameterError unless it is from 0 to MAX_EFFORT."""
    return check_whole("effort", effort, 0, MAX_EFFORT)


def check_positive(name: str, value: float, highest: float = math.inf) -> None:
    """Raises ParameterError where ``value`` is no finite number above 0, up to ``highest``."""
    if not (math.isfinite(value) and 0 < value <= highest):
        most = "" if highest == math.inf else f" and at most {highest:g}"
        raise ParameterError(f"{name} is {value}; it must be a number above 0{most}.")
