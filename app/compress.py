"""A photo at one N, in steps: the file and the quantized picture first, then the restored one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from qann_core import QannError
from qann_core.evaluation.peers import peer_by_name
from qann_core.metrics import bits_per_pixel, psnr, ssim, ssimulacra2
from qann_core.quantization import QuantizedLatents

from . import cores
from .choice import DEFAULT_CODER, Choice, codec_of, pack, slider_range
from .matching import PeerResult, at_bytes, bytes_at_psnr, finest
from .photos import Photo
from .pictures import closer_look, lossless_bytes

SQUARED_ERROR = "psnr"
"""The bundled model that was trained for squared error, as one of the sides to compare with."""


@dataclass
class Draft:
    """What is known of a photo at one N before the restoration network has run.

    Attributes:
        levels, step: N and the quantization step that it gives.
        choice: what compressed it.
        data: the .qann file.
        quantized: uint8 (H, W, 3), decoded without the restoration network.
        quantized_file: the same as a lossless file, and that file's extension.
        encode_seconds: quantization and packing, and the encoder's network where it ran; None where
            the processor was busy with other things.
        links: where browsers find its files, by their names; filled as they are stored.
    """

    levels: int
    step: float
    choice: Choice
    data: bytes
    quantized: np.ndarray
    quantized_file: tuple[bytes, str]
    encode_seconds: float | None
    links: dict[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def bits_per_pixel(self) -> float:
        """Rate of the whole file."""
        return bits_per_pixel(len(self.data), *self.quantized.shape[:2])

    @property
    def ratio(self) -> float:
        """How many times smaller than the raw 24-bit pixels the file is."""
        return self.quantized.nbytes / len(self.data)


@dataclass
class Result(Draft):
    """A photo at one N: the file, both decoded pictures and their measures.

    Attributes:
        restored: uint8 (H, W, 3), decoded with the restoration network.
        restored_file: the same as a lossless file, and that file's extension.
        psnr_*: against the original.
        jpeg_bytes: length of a JPEG file with the restored picture's PSNR; None if out of reach.
        spot: rows and columns of the small box where restoration helps most.
        decode_seconds: the restoration network and the decoder.
        ssim_*, ssimulacra2_*: against the original; None before ``judge``, and SSIMULACRA 2 of
            pictures too small for it.
        judged: whether ``judge`` has measured it.
        peers: other codecs' files of at most as many bytes, filled as they are asked for.
    """

    restored: np.ndarray
    psnr_quantized: float
    psnr_restored: float
    jpeg_bytes: float | None
    restored_file: tuple[bytes, str]
    spot: tuple[slice, slice]
    decode_seconds: float
    ssim_quantized: float | None = None
    ssim_restored: float | None = None
    ssimulacra2_quantized: float | None = None
    ssimulacra2_restored: float | None = None
    judged: bool = False
    peers: dict[str, PeerResult] = field(default_factory=dict)

    @property
    def gain(self) -> float:
        """What restoration adds, in dB."""
        return self.psnr_restored - self.psnr_quantized

    @property
    def saving_over_jpeg(self) -> float | None:
        """Per cent fewer bytes than JPEG at the restored picture's PSNR; negative: more."""
        return None if self.jpeg_bytes is None else 100 * (1 - len(self.data) / self.jpeg_bytes)


def compress_in_steps(photo: Photo, levels: int) -> Iterator[Draft]:
    """The photo at N = ``levels``, by what was chosen: a ``Draft``, then the ``Result``."""
    with cores.begun(photo.pixels.size // 3):
        draft, quantized = cores.run(lambda: _draft(photo, levels))
        yield draft
        result = cores.run(lambda: _result(photo, draft, quantized))
    yield result


def _draft(photo: Photo, levels: int) -> tuple[Draft, QuantizedLatents]:
    """The file and the quantized picture."""
    choice = photo.choice
    started = time.perf_counter()
    cores.take()
    codec = codec_of(choice.model)
    quantized = codec.quantize(photo.latents(choice.model), levels, choice.effort)
    quantize_seconds = time.perf_counter() - started
    # The other coder is a network, and in a crowd no core is free.
    aside = choice.coder == DEFAULT_CODER and not cores.crowded()
    packing = cores.beside().submit(_packed, quantized, choice) if aside else None
    plain = codec.decode(quantized, restore=False)
    quantized_file = cores.beside().submit(lossless_bytes, plain)
    data, pack_seconds = packing.result() if packing else _packed(quantized, choice)
    draft = Draft(
        levels=quantized.levels,
        step=quantized.step,
        choice=choice,
        data=data,
        quantized=plain,
        quantized_file=quantized_file.result(),
        encode_seconds=quantize_seconds + pack_seconds,
    )
    return draft, quantized


def _packed(quantized: QuantizedLatents, choice: Choice) -> tuple[bytes, float]:
    """The file, and how many seconds it took."""
    started = time.perf_counter()
    data = pack(quantized, choice)
    return data, time.perf_counter() - started


def _result(photo: Photo, draft: Draft, quantized: QuantizedLatents) -> Result:
    """The restored picture and its measures."""
    pixels, plain = photo.pixels, draft.quantized
    started = time.perf_counter()
    cores.take()
    restored = codec_of(draft.choice.model).decode(quantized)
    seconds = time.perf_counter() - started
    restored_file = cores.beside().submit(lossless_bytes, restored)
    psnr_restored = psnr(pixels, restored)
    return Result(
        **vars(draft),
        restored=restored,
        psnr_quantized=psnr(pixels, plain),
        psnr_restored=psnr_restored,
        spot=closer_look(pixels, plain, restored),
        restored_file=restored_file.result(),
        jpeg_bytes=bytes_at_psnr(peer_by_name("jpeg"), pixels, psnr_restored, photo.jpeg),
        decode_seconds=seconds,
    )


def compress_photo(photo: Photo, levels: int) -> Result:
    """The last of the steps: the whole result."""
    *_, result = compress_in_steps(photo, levels)
    assert isinstance(result, Result)
    return result


def judge(photo: Photo, result: Result) -> None:
    """Measures SSIM and SSIMULACRA 2, which take too long for a first answer."""
    cores.run(lambda: _judge(photo.pixels, result))


def _judge(pixels: np.ndarray, result: Result) -> None:
    cores.take()
    ssim_quantized = cores.beside().submit(ssim, pixels, result.quantized)
    result.ssim_restored = ssim(pixels, result.restored)
    result.ssim_quantized = ssim_quantized.result()
    with suppress(QannError):  # the picture is too small for it
        result.ssimulacra2_quantized = ssimulacra2(pixels, result.quantized)
        result.ssimulacra2_restored = ssimulacra2(pixels, result.restored)
    result.judged = True


def peer_at_same_bytes(photo: Photo, result: Result, name: str) -> PeerResult:
    """What another codec makes of the photo in at most the result's bytes; searched once."""
    if name not in result.peers:
        result.peers[name] = cores.run(lambda: peer_at_bytes(photo, len(result.data), name))
    return result.peers[name]


def peer_at_bytes(photo: Photo, n_bytes: int, name: str) -> PeerResult:
    """What another codec, or the model SQUARED_ERROR, makes of the photo in at most so many."""
    if name == SQUARED_ERROR:
        return _squared_error(photo, n_bytes)
    return at_bytes(peer_by_name(name), photo.pixels, n_bytes)


def _squared_error(photo: Photo, n_bytes: int) -> PeerResult:
    choice = Choice(SQUARED_ERROR)
    levels, data = levels_at_bytes(photo, n_bytes, choice)
    codec = codec_of(choice.model)
    pixels = codec.decode(codec.unpack(data))
    met = len(data) <= n_bytes
    return PeerResult(SQUARED_ERROR, levels, data, pixels, psnr(photo.pixels, pixels), met)


def levels_at_bytes(photo: Photo, n_bytes: float, choice: Choice) -> tuple[int, bytes]:
    """The largest N of the page's range whose file has at most so many bytes, and that file.

    Bisection: file lengths grow with N but for some bytes. Where none is so small, the smallest.
    """
    cores.take()
    codec, latents = codec_of(choice.model), photo.latents(choice.model)
    low, high = slider_range(choice.model)

    def packed(levels: int) -> bytes:
        return pack(codec.quantize(latents, levels), choice)

    return finest(range(low, high + 1), n_bytes, packed, len)
