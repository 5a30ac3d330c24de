"""One quantized latent tensor to bytes and back, with the Brotli coder's own symbols.

| offset | bytes       | field                                                            |
|--------|-------------|------------------------------------------------------------------|
| 0      | 1           | C, channels of the latents                                       |
| 1      | 1           | k: one latent position stands for 2^k x 2^k pixels               |
| 2      | 4           | low: the value that the integer 0 stands for, float32            |
| 6      | 4           | step between neighbouring values, float32                        |
| 10     | ceil(C / 8) | a bit a channel: whether median-edge prediction is used          |
|        | ceil(C / 8) | a bit a channel: whether it has anything but zeros               |
|        | ...         | varints: 16 x mean magnitude of each channel that has            |
|        | ...         | groups of bits, Brotli, signs, as in ``symbols``                 |

Numbers are little-endian. A channel's symbols are its integers relative to the one that stands
for the value zero, or the residuals of their prediction, whichever are smaller on average.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from .coding.contexts import Contexts
from .coding.planes import code_first_band
from .coding.prediction import med_residual, med_restore
from .coding.symbols import Reader, Source, Writer, damaged, varint
from .errors import BitstreamError
from .limits import MAX_LATENT_CHANNELS, MAX_LATENT_FACTOR

ID = 3
NAME = "brotli-tensor"
"""The coder's number in the container and its name."""

_HEAD = struct.Struct("<BBff")


@dataclass(frozen=True)
class TensorPayload:
    """What a payload holds.

    Attributes:
        integers: int32 (C, h, w), 0 to N - 1.
        low, step: the integer q stands for the value low + step * q; both exact float32.
        factor: pixels per latent position along each side, a power of two.
    """

    integers: np.ndarray
    low: float
    step: float
    factor: int


def latent_shape(channels: int, factor: int, height: int, width: int) -> tuple[int, int, int]:
    """Shape (C, h, w) of the latents of an image of this size in pixels."""
    return channels, -(-height // factor), -(-width // factor)


def zero_integer(low: float, step: float, levels: int) -> int:
    """The integer, 0 to N - 1, whose value is nearest to zero."""
    return int(min(max(round(-low / step), 0), levels - 1))


def encode(payload: TensorPayload, levels: int) -> bytes:
    """Quantized latents to bytes."""
    centred = payload.integers - zero_integer(payload.low, payload.step, levels)
    residuals = np.stack([med_residual(plane) for plane in centred])
    predicted = np.abs(residuals).sum((1, 2)) < np.abs(centred).sum((1, 2))
    planes = np.where(predicted[:, None, None], residuals, centred)
    sums = np.abs(planes).sum((1, 2), dtype=np.int64)
    means = (-(-16 * sums // planes[0].size)).tolist()
    head = _HEAD.pack(
        len(planes), payload.factor.bit_length() - 1, payload.low, payload.step
    )  # fmt: skip
    head += np.packbits(predicted).tobytes() + np.packbits([mean > 0 for mean in means]).tobytes()
    head += b"".join(varint(mean) for mean in means if mean)
    if not any(means):
        return head
    writer = Writer()
    _code(writer, means, planes.shape[1:], planes)
    return writer.payload(head)


def decode(data: bytes, levels: int, height: int, width: int) -> TensorPayload:
    """The bytes of a payload to quantized latents of an image of this size in pixels.

    Raises:
        BitstreamError: when they do not hold such latents.
    """
    source = Source(data)
    channels, exponent, low, step = _HEAD.unpack(source.take(_HEAD.size).tobytes())
    factor = 1 << min(exponent, 30)
    check_head(channels, factor, low, step)
    shape = latent_shape(channels, factor, height, width)
    flag_bytes = -(-channels // 8)
    predicted, present = (
        np.unpackbits(source.take(flag_bytes))[:channels].astype(bool) for _ in range(2)
    )
    means = [source.varint() if there else 0 for there in present]
    if any(present):
        if not all(0 < mean < 16 * 65536 for mean in np.array(means)[present]):
            raise damaged("a mean is out of range")
        reader = Reader(source, shape[1] * shape[2] * int(present.sum()))
        planes = _code(reader, means, shape[1:], None)
        reader.finish()
    elif source.position != source.data.size:
        raise damaged("symbols are left over after its last coefficient")
    else:
        planes = np.zeros(shape, np.int32)
    planes[predicted] = med_restore(planes[predicted])
    integers = planes + zero_integer(low, step, levels)
    if integers.min() < 0 or integers.max() >= levels:
        raise damaged(f"integers from {integers.min()} to {integers.max()} at N = {levels}")
    return TensorPayload(integers, low, step, factor)


def check_head(channels: int, factor: int, low: float, step: float) -> None:
    """Raises BitstreamError where the latents' shape or values are outside the format's limits.

    Latents hold at most as many numbers as the image, so that a file cannot ask for more memory.
    """
    if not (
        1 <= channels <= min(MAX_LATENT_CHANNELS, 3 * factor**2)
        and factor <= MAX_LATENT_FACTOR
        and factor.bit_count() == 1
    ):
        raise BitstreamError(
            f"Latents of {channels} channels at 1/{factor} of the image's size are not allowed: "
            f"at most {MAX_LATENT_CHANNELS} channels at a power of two up to {MAX_LATENT_FACTOR}, "
            "and at most as many numbers as the image has."
        )
    if not (math.isfinite(low) and math.isfinite(step) and step > 0):
        raise BitstreamError(
            f"Latents cannot start at {low} in steps of {step}: both must be finite numbers and "
            "the step positive."
        )


def _code(
    io: Writer | Reader, means: list[int], shape: tuple[int, ...], given: np.ndarray | None
) -> np.ndarray:
    """Writes the planes ``given`` (C, h, w), or reads them where there are none; returns them."""
    planes = np.zeros((len(means), *shape), np.int32)
    for _ in code_first_band(io.code, Contexts(), means, given, planes, skip_zeros=True):
        pass
    return planes
