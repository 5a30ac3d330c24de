"""Entropy coder 2: quantized latents through the learned prior and a range coder.

Payload: the prior's id (4 bytes), the low 16 bits of the CRC-32 of the decoded integers, one byte
for each LL channel (how large its residuals are on average), then the range coder's 32-bit words.
The integers come in this order: the LL band's residuals, plane by plane in four interleaved passes;
then, tile by tile and level by level, one bit for each colour that says whether there is anything
but zeros, and the passes of the prior (see ``passes``).

Tiles of TILE pixels are coded one after the other and know nothing of each other, so that memory
stays bounded for any image; smaller images are one tile.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ..common.errors import BitstreamError, ModelError, ParameterError
from ..common.shapes import integer_range
from .contexts import code_first_band
from .interface import Bands, Shapes
from .network import LIMIT, PriorLevel
from .passes import LEVEL_PASSES, by_colour
from .prediction import med_residual, med_restore
from .range_coder import RangeReader, RangeWriter, detail_classes, residual_classes
from .weights import ID_BYTES, Prior

TILE = 1024
"""Side of the tiles, in pixels."""

_TILE_LL = TILE // 16

_MEANS = (0, *(base << k for k in range(15) for base in (2, 3)))
"""16 x mean magnitude of an LL channel's residuals, rounded up to one of these."""


@dataclass(frozen=True)
class PriorCoder:
    """The learned prior with a range coder; see ``interface.EntropyCoder``.

    Args:
        prior: the model's.
    """

    prior: Prior
    id: int = 2
    name: str = "prior"

    def encode(self, bands: Sequence[np.ndarray], levels: int) -> bytes:
        """See ``interface.EntropyCoder``; ParameterError for integers that N does not allow, and
        ModelError for latents that are no wavelet VAE's."""
        self._check_shapes([band.shape for band in bands])
        low, high = integer_range(levels)
        if min(int(b.min()) for b in bands) < low or max(int(b.max()) for b in bands) > high:
            raise ParameterError(f"N = {levels} allows integers from {low} to {high} only.")
        writer = RangeWriter(self.prior.tables)
        residuals = np.stack([med_residual(plane) for plane in bands[0].astype(np.int32)])
        ranks, means = quantized_means(residuals)
        coding = _Coding(self.prior, levels, writer, residuals, bands)
        coding.run([band.shape for band in bands], means)
        return self.prior.id + _check(bands) + ranks + writer.payload()

    def decode(self, payload: bytes, shapes: Shapes, levels: int) -> Bands:
        """See ``interface.EntropyCoder``.

        Raises:
            BitstreamError: when the payload does not hold such arrays.
            ModelError: when it was coded with another prior, or the model's VAE is no wavelet VAE.
        """
        check, means, words = self._open(payload, shapes)
        reader = RangeReader(self.prior.tables, words)
        bands = _Coding(self.prior, levels, reader).run(shapes, means)
        reader.finish()
        if _check(bands) != check:
            raise BitstreamError("The file is damaged: its integers do not match their checksum.")
        return bands

    def bytes_by_band(self, payload: bytes, shapes: Shapes, levels: int) -> tuple[float, ...]:
        """See ``interface.EntropyCoder``: shares of the ideal code lengths."""
        _, means, words = self._open(payload, shapes)
        reader = RangeReader(self.prior.tables, words, priced=True)
        coding = _Coding(self.prior, levels, reader)
        coding.run(shapes, means)
        total = sum(coding.costs) or 1.0
        return tuple(len(payload) * cost / total for cost in coding.costs)

    def _check_shapes(self, shapes: Sequence[tuple[int, ...]]) -> None:
        bands, channels = len(shapes), shapes[0][0]
        if (bands, channels) != (1 + len(self.prior.network.levels), 3):
            raise ModelError(
                f"The prior codes a wavelet VAE's latents, and this model's are {bands} arrays, "
                f"the first of {channels} channels; use the coder brotli."
            )

    def _open(self, payload: bytes, shapes: Shapes) -> tuple[bytes, list[int], bytes]:
        self._check_shapes(shapes)
        channels = shapes[0][0]
        head = ID_BYTES + 2 + channels
        if len(payload) < head or (len(payload) - head) % 4:
            raise BitstreamError(f"The file is damaged: a payload of {len(payload)} bytes.")
        if payload[:ID_BYTES] != self.prior.id:
            raise ModelError(
                f"The file was coded with prior {payload[:ID_BYTES].hex()}; this model has prior "
                f"{self.prior.id.hex()}."
            )
        ranks = np.frombuffer(payload, np.uint8, channels, ID_BYTES + 2)
        if ranks.max(initial=0) >= len(_MEANS):
            raise BitstreamError("The file is damaged: a mean is out of range.")
        means = [_MEANS[rank] for rank in ranks]
        return payload[ID_BYTES : ID_BYTES + 2], means, payload[head:]


def quantized_means(residuals: np.ndarray) -> tuple[bytes, list[int]]:
    """How large an LL band's residuals (C, H, W) are: a byte for each channel, and what it says,
    16 x the mean magnitude, rounded up."""
    sums = np.abs(residuals).sum((1, 2), dtype=np.int64)
    ranks = np.searchsorted(_MEANS, -(-16 * sums // residuals[0].size)).astype(np.uint8)
    return ranks.tobytes(), [_MEANS[rank] for rank in ranks]


@torch.inference_mode()
def predicted_scales(
    prior: Prior, bands: Sequence[np.ndarray], levels: int
) -> tuple[np.ndarray, ...]:
    """How large the prior expects each detail to be, just before it is coded: for looking at.

    Args:
        bands: quantized latents, int32 (C, H, W), coarse to fine.

    Returns:
        For each band of details, float32 (9, H, W): the scale, in quantization steps, of the
        logistic distribution that gives the probability of zero.
    """
    scales = tuple(np.zeros(band.shape, np.float32) for band in bands[1:])
    device = prior.device
    number = torch.tensor([float(levels)], device=device)
    for top, left in _tiles(bands[0].shape):
        places = _places(top, left, len(bands))
        cut = tuple(
            torch.tensor(band[:, *place], dtype=torch.float32, device=device)[None]
            for band, place in zip(bands, places, strict=True)
        )
        with torch.autocast(device.type, enabled=False):
            levels_passes = prior.network(cut, number)
        for target, place, passes in zip(scales, places[1:], levels_passes, strict=True):
            for colour, expected in enumerate(by_colour(passes)):
                logit = expected.scale[0].double().cpu().numpy() / -8
                target[colour::3, *place] = 0.5 / np.logaddexp(0, logit)
    return scales


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Top left corners of the tiles in an LL band (3, H, W)."""
    for top in range(0, shape[1], _TILE_LL):
        for left in range(0, shape[2], _TILE_LL):
            yield top, left


def _places(top: int, left: int, bands: int) -> list[tuple[slice, slice]]:
    """Where a tile is in each band: rows and columns."""
    scales = (1, *(1 << level for level in range(bands - 1)))
    return [
        (slice(top * s, (top + _TILE_LL) * s), slice(left * s, (left + _TILE_LL) * s))
        for s in scales
    ]


def _check(bands: Sequence[np.ndarray]) -> bytes:
    crc = 0
    for band in bands:
        crc = zlib.crc32(band.astype("<i2").tobytes(), crc)
    return (crc & 0xFFFF).to_bytes(2, "little")


class _Coding:
    """One pass over an image's integers, writing or reading; the order is the same for both.

    Args:
        io: a writer, with the integers given, or a reader.
        residuals, bands: LL residuals and all bands, where they are known.
    """

    def __init__(
        self,
        prior: Prior,
        levels: int,
        io: RangeWriter | RangeReader,
        residuals: np.ndarray | None = None,
        bands: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.prior, self.levels, self.io = prior, levels, io
        self.residuals, self.bands = residuals, bands
        self.low, self.high = integer_range(levels)
        self.costs: list[float] = []

    def run(self, shapes: Shapes, means: list[int]) -> Bands:
        """Codes everything; returns the bands, int32."""
        self.costs = [0.0] * len(shapes)
        first = med_restore(self._code_residuals(shapes[0], means))
        self._check_range(first)
        details = self.bands[1:] if self.bands else [np.zeros(s, np.int32) for s in shapes[1:]]
        bands = [first, *details]
        # bfloat16 sums, which autocast may ask for, are not exact.
        with torch.inference_mode(), torch.autocast(self.prior.device.type, enabled=False):
            for top, left in _tiles(first.shape):
                self._code_tile(bands, _places(top, left, len(bands)))
        return tuple(bands)

    def _symbols(self, index: int, classes: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        if isinstance(self.io, RangeWriter):
            assert values is not None
            return self.io.code(classes, values)
        before = self.io.bits
        values = self.io.code(classes)
        self.costs[index] += self.io.bits - before
        return values

    def _code_residuals(self, shape: tuple[int, int, int], means: list[int]) -> np.ndarray:
        planes = np.zeros(shape, np.int32)
        limit = self.high - self.low

        def code(expected: np.ndarray, values: np.ndarray | None) -> np.ndarray:
            coded = self._symbols(0, residual_classes(expected), values)
            if np.abs(coded).max(initial=0) > limit:
                raise BitstreamError("The file is damaged: a residual is larger than N allows.")
            return coded

        code_first_band(code, means, self.residuals, planes)
        return planes

    def _code_tile(self, bands: list[np.ndarray], places: list[tuple[slice, slice]]) -> None:
        """Codes the details of one tile into ``bands``, whose first is complete."""
        network = self.prior.network
        dtype, device = network.stem.weight.dtype, self.prior.device

        def integers(index: int) -> Tensor:
            return torch.tensor(bands[index][:, *places[index]], dtype=dtype, device=device)[None]

        biases = network.level_biases(torch.tensor([float(self.levels)], device=device))
        h = network.start(integers(0), biases[0])
        for index, level in enumerate(network.levels, 1):
            level = cast(PriorLevel, level)
            if index > 1:
                h = h.add_(biases[index - 1]).clamp_(-LIMIT, LIMIT)  # all of them integers
            h = level.trunk(h)
            given = None if self.bands is None else self.bands[index][:, *places[index]]
            seen = self._code_level(index, level, h, bands[index][:, *places[index]], given)
            if level.up is not None:
                h = level.ascend(h, seen)

    def _code_level(
        self, index: int, level: PriorLevel, h: Tensor, target: np.ndarray, given: np.ndarray | None
    ) -> Tensor:
        """The passes of one level; fills ``target``, a tile (9, h, w), where it is not given.

        Returns:
            The same, compressed, (1, 9, h, w), colour by colour.
        """
        present = self._presence(index, given)
        channels, height, width = target.shape
        coded = np.zeros((3, 3, height * width), np.int32)  # colour, orientation, place
        seen = h.new_zeros(1, channels, height, width)
        for number, step in enumerate(LEVEL_PASSES):
            places = step.places(height, width)
            if not present[step.colour] or not places.size:
                continue
            classes, signs = detail_classes(level.expect_coded(h, number, seen))
            values = None
            if given is not None:
                values = given[step.colour :: 3].reshape(3, -1).take(places, 1).ravel()
                values = values * signs.ravel()
            values = self._symbols(index, classes.ravel(), values).reshape(3, -1) * signs
            self._check_range(values)
            coded[step.colour][:, places] = values
            given_values = torch.from_numpy(values).to(seen.device)
            compressed = self.prior.network.compress(given_values).to(seen.dtype)
            seen.view(3, 3, -1)[step.colour][:, torch.from_numpy(places).to(seen.device)] = (
                compressed
            )
        if given is None:
            target[:] = coded.swapaxes(0, 1).reshape(target.shape)
        return seen

    def _presence(self, index: int, given: np.ndarray | None) -> list[bool]:
        """For each colour, whether a tile's band has anything but zeros."""
        if isinstance(self.io, RangeWriter):
            assert given is not None
            bits = [int(given[colour::3].any()) for colour in range(3)]
            return [bool(bit) for bit in self.io.uniform(bits, 2)]
        self.costs[index] += 3
        return [bool(bit) for bit in self.io.uniform(3, 2)]

    def _check_range(self, values: np.ndarray) -> None:
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        if low < self.low or high > self.high:
            raise BitstreamError(
                f"The file is damaged: it has integers from {low} to {high} where {self.low} to "
                f"{self.high} are allowed."
            )
