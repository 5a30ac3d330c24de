"""The data of each stage of the tab "Inside the codec": numbers and arrays, nothing drawn.

Every function takes an ``Anatomy`` (one photo at one N) and gives plain data for
``app.inside.drawings`` and ``app.inside.cards``.
"""

from __future__ import annotations

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import brotli
import numpy as np
import torch
import zstandard
from PIL import Image

from qann_core.bitstream import HEADER_BYTES
from qann_core.coding.prediction import med_residual
from qann_core.common.limits import MAX_LEVELS, MIN_LEVELS
from qann_core.networks import wavelet

from .anatomy import Anatomy, coefficients
from .subbands import SUBBANDS, Subband

NESTED_SIDE = 1024
"""Longest side of the nested picture, in pixels; larger photos are averaged down to it."""

CROP = 40
"""Side of the maps of offsets within the bin, in coefficients."""


# Latents


@dataclass(frozen=True)
class SubbandFacts:
    """What there is to say about one subband.

    Attributes:
        share_of_bytes, share_of_energy: of the payload, and of the latents' squared sum; 0 to 1.
        distinct_before: distinct float32 values among the latents.
        distinct_after: distinct integers among the quantized latents.
        zeros: share of the integers that are zero, 0 to 1.
    """

    share_of_bytes: float
    share_of_energy: float
    distinct_before: int
    distinct_after: int
    zeros: float


def subband_facts(anatomy: Anatomy, subband: Subband) -> SubbandFacts:
    """Shares and distinct values of one subband."""
    pyramid = anatomy.latents.pyramid
    energy = sum(float(band.square().sum(dtype=torch.float64)) for band in pyramid)
    own = pyramid[subband.band][0, subband.channel]
    integers = anatomy.integers(subband)
    n_bytes = sum(anatomy.bytes_of.values()) or 1.0
    return SubbandFacts(
        share_of_bytes=anatomy.bytes_of[subband] / n_bytes,
        share_of_energy=float(own.square().sum(dtype=torch.float64)) / (energy or 1.0),
        distinct_before=len(np.unique(own.numpy())),
        distinct_after=len(np.unique(integers)),
        zeros=float(np.mean(integers == 0)),
    )


def distinct_values(anatomy: Anatomy) -> tuple[int, int]:
    """Distinct float32 values of all latents before reduction, distinct integers after."""
    before = np.concatenate([band.numpy().ravel() for band in anatomy.latents.pyramid])
    after = np.concatenate([band.ravel() for band in anatomy.quantized.bands])
    return len(np.unique(before)), len(np.unique(after))


def nested(bands: Sequence[np.ndarray], colour: int) -> np.ndarray:
    """Mallat's nested picture of one colour's subbands: LL in the corner, finer ones around it.

    Args:
        bands: a pyramid's bands as arrays (C, h, w), coarse to fine.
        colour: 0, 1 or 2, for Y, C1, C2.

    Returns:
        float32 (H, W) with H and W those of the padded image, at most NESTED_SIDE.
    """
    picture = bands[0][colour]
    for band in bands[1:]:
        hl, lh, hh = band[colour], band[3 + colour], band[6 + colour]
        picture = np.block([[picture, hl], [lh, hh]])
    return shrink(picture.astype(np.float32), NESTED_SIDE)


def magnitudes(anatomy: Anatomy, colour: int, reduced: bool) -> np.ndarray:
    """The nested picture of magnitudes, in the latents' own unit, before or after reduction."""
    if reduced:
        bands = [np.abs(band) * np.float32(anatomy.step) for band in anatomy.quantized.bands]
    else:
        bands = [band[0].abs().numpy() for band in anatomy.latents.pyramid]
    return nested(bands, colour)


def learned_residual(anatomy: Anatomy) -> np.ndarray:
    """What the encoder's network added to the plain wavelet, as a picture: (H, W), grey levels."""
    added = tuple(
        y - plain
        for y, plain in zip(
            anatomy.coefficients(anatomy.latents.pyramid), anatomy.plain, strict=True
        )
    )
    height, width = anatomy.photo.pixels.shape[:2]
    picture = wavelet.inverse(added)[0, :, :height, :width].mean(0)
    return shrink(picture.numpy(), NESTED_SIDE)


def colour_shares(anatomy: Anatomy) -> tuple[float, ...]:
    """Share of the photo's variance in each of the rotated colours Y, C1, C2; they sum to 1."""
    flat = np.stack([plane.ravel() for plane in colour_planes(anatomy.photo.pixels)])
    variances = flat.var(1)
    return tuple((variances / (variances.sum() or 1.0)).tolist())


def colour_planes(pixels: np.ndarray) -> np.ndarray:
    """The photo in the orthonormal colours Y, C1, C2: float32 (3, H, W), centred."""
    rotation = np.array(wavelet.COLOUR_ROTATION, np.float32)
    return np.einsum("ij,hwj->ihw", rotation, pixels.astype(np.float32) - 127.5)


# Diversity


@dataclass(frozen=True)
class Offsets:
    """One subband within its bins; all in steps.

    Attributes:
        before, reduced, restored: its latents, (h, w): y, q and the network's.
        crop: rows and columns where the network's guess agrees most with the truth.
        correlation: Pearson's, between y - q and restored - q over the whole subband.
    """

    before: np.ndarray
    reduced: np.ndarray
    restored: np.ndarray
    crop: tuple[slice, slice]
    correlation: float

    @property
    def true(self) -> np.ndarray:
        """Where the true value is, from the bin's reconstruction point."""
        return self.before - self.reduced

    @property
    def guess(self) -> np.ndarray:
        """What the network moved it by."""
        return self.restored - self.reduced


def offsets(anatomy: Anatomy, subband: Subband) -> Offsets:
    """One subband's latents before, reduced and restored."""
    before, reduced = anatomy.true(subband), anatomy.integers(subband).astype(np.float32)
    restored = anatomy.repaired(subband)
    true, guess = before - reduced, restored - reduced
    crop = box_of_largest(true * guess, CROP)
    return Offsets(before, reduced, restored, crop, correlation(true, guess))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation coefficient; 0 where one of them is constant."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm else 0.0


def clearest_subband(anatomy: Anatomy) -> Subband:
    """The subband with 5 % of non-zero integers or more whose offsets are guessed best."""
    busy = [s for s in SUBBANDS if np.mean(anatomy.integers(s) != 0) >= 0.05]

    def score(subband: Subband) -> float:
        q = anatomy.integers(subband)
        return correlation(anatomy.true(subband) - q, anatomy.repaired(subband) - q)

    return max(busy or SUBBANDS[:1], key=score)


def box_of_largest(values: np.ndarray, side: int) -> tuple[slice, slice]:
    """The box of at most ``side`` x ``side`` with the largest sum of (H, W) values."""
    height, width = (min(side, n) for n in values.shape)
    sums = np.pad(values.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
             + sums[:-height, :-width])  # fmt: skip
    top, left = np.unravel_index(int(np.argmax(boxes)), boxes.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


# Entropy coding


@dataclass(frozen=True)
class Packing:
    """One way to pack the integers.

    Attributes:
        name: of the compressor, with its effort.
        n_bytes: what it needs.
        kind: "bound" for the entropy, "general" for compressors on plain bytes, "codec" for the
            file's own payload.
    """

    name: str
    n_bytes: float
    kind: str


def coded_planes(anatomy: Anatomy) -> list[np.ndarray]:
    """The integers that are coded, a plane each: LL as its prediction's error, details as is."""
    first, *details = anatomy.quantized.bands
    return [*(med_residual(plane) for plane in first), *(p for band in details for p in band)]


def plain_bytes(planes: Sequence[np.ndarray]) -> bytes:
    """The planes one after the other, a byte for each integer.

    Integers are zigzag-mapped: 0, -1, 1, -2 ... to 0, 1, 2, 3 ...; where that is above 254, a
    byte 255 stands, and its 16-bit value follows at the end.
    """
    flat = np.concatenate([plane.ravel() for plane in planes])
    mapped = np.where(flat < 0, -2 * flat - 1, 2 * flat)
    escaped = mapped[mapped > 254].astype("<u2")
    return np.minimum(mapped, 255).astype(np.uint8).tobytes() + escaped.tobytes()


def zero_order_bits(planes: Sequence[np.ndarray]) -> float:
    """Bits of all integers by their own plane's frequencies: no code without context needs less."""
    total = 0.0
    for plane in planes:
        _, counts = np.unique(plane, return_counts=True)
        total -= float((counts * np.log2(counts / plane.size)).sum())
    return total


_GENERAL: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("zlib, level 9", lambda data: zlib.compress(data, 9)),
    ("zstd, level 19", lambda data: zstandard.ZstdCompressor(level=19).compress(data)),
    ("bz2, level 9", lambda data: bz2.compress(data, 9)),
    ("lzma, preset 6", lambda data: lzma.compress(data, preset=6)),
    ("Brotli, quality 11", lambda data: brotli.compress(data, quality=11)),
)


def packings(anatomy: Anatomy) -> list[Packing]:
    """The same integers under general compressors, their entropy, and the file's own payload."""
    planes = coded_planes(anatomy)
    data = plain_bytes(planes)
    with ThreadPoolExecutor(2) as pool:  # each lets go of the interpreter
        sizes = list(pool.map(lambda entry: len(entry[1](data)), _GENERAL))
    general = [
        Packing(name, size, "general") for (name, _), size in zip(_GENERAL, sizes, strict=True)
    ]
    own = Packing("Brotli, sorted by context", len(anatomy.data) - HEADER_BYTES, "codec")
    return [*general, Packing("zero-order entropy", zero_order_bits(planes) / 8, "bound"), own]


# Restoration


def errors_by_band(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray]:
    """Squared error of the decoded pictures in each scale of the wavelet domain.

    The transform is nearly orthonormal, so the parts add up to the pictures' squared error.

    Returns:
        Before and after restoration, grey levels squared per image sample, coarse to fine.
    """
    samples = anatomy.photo.pixels.size
    parts = []
    for picture in (anatomy.picture_quantized, anatomy.picture_restored):
        decoded = coefficients(picture)
        errors = (
            float((a - b).square().sum()) for a, b in zip(decoded, anatomy.plain, strict=True)
        )
        parts.append(np.array(list(errors)) / samples)
    return parts[0], parts[1]


def error_map(anatomy: Anatomy, picture: np.ndarray) -> np.ndarray:
    """Root-mean-square error over R, G, B of a decoded picture, (H, W) float32 grey levels."""
    difference = picture.astype(np.float32) - anatomy.photo.pixels
    return np.sqrt(shrink(np.square(difference).mean(2), NESTED_SIDE))


def correction(anatomy: Anatomy) -> np.ndarray:
    """What restoration changed in the picture: mean over R, G, B, (H, W) float32 grey levels."""
    change = anatomy.picture_restored.astype(np.int16) - anatomy.picture_quantized
    return shrink(change.mean(2, dtype=np.float32), NESTED_SIDE)


def assumptions(levels: int) -> list[int]:
    """Values of N for the network to assume, from N/4 to 4N where there are such; N among them."""
    wanted = (round(levels * 2 ** (half / 2)) for half in range(-4, 5))
    return sorted({min(max(n, MIN_LEVELS), MAX_LEVELS) for n in wanted})


def attention(anatomy: Anatomy, row: int, column: int) -> np.ndarray:
    """Where one position at 1/16 looks: mean over the heads, (h, w), summing to 1."""
    return anatomy.codec.attention(anatomy.quantized, row, column).mean(0)


def disagreement(anatomy: Anatomy) -> np.ndarray:
    """Variance between the alternatives' pictures at each pixel, (H, W)."""
    pictures = np.stack([each.pixels for each in anatomy.alternatives]).astype(np.float32)
    return pictures.var(0).sum(2)


# Synthesis


def without_decoder_network(anatomy: Anatomy) -> np.ndarray:
    """The restored latents through the plain inverse wavelet, uint8 (H, W, 3)."""
    height, width = anatomy.photo.pixels.shape[:2]
    image = wavelet.inverse(anatomy.coefficients(anatomy.restored))[0, :, :height, :width]
    return image.add(127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def shrink(plane: np.ndarray, longest: int) -> np.ndarray:
    """(H, W) float32 averaged down so that no side is longer than ``longest``."""
    if max(plane.shape) <= longest:
        return plane
    size = tuple(max(1, side * longest // max(plane.shape)) for side in plane.shape[::-1])
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX))


# The toy


def pixel_rows(pixels: np.ndarray, count: int = 5, length: int = 16) -> list[list[int]]:
    """Rows of neighbouring pixels' brightness, 0 to 255, where it varies: the busiest first.

    One row at most from each part of the photo; fewer where it is small, none shorter.
    """
    grey = np.pad(pixels.mean(2), ((0, 0), (0, max(0, length - pixels.shape[1]))), mode="edge")
    height, width = grey.shape
    blocks = grey[:, : width // length * length].reshape(height, -1, length)
    busy = blocks.std(2)
    found = []
    for rows in np.array_split(np.arange(height), min(count, height)):
        row, block = np.unravel_index(int(np.argmax(busy[rows])), busy[rows].shape)
        found.append((busy[rows[row], block], blocks[rows[row], block].round().astype(int)))
    return [row.tolist() for _, row in sorted(found, key=lambda entry: -entry[0])]
