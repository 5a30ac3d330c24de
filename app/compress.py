"""A photo at one N: the file, both decoded pictures and their measures, on shared cores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qann_core.evaluation.peers import PeerResult, at_bytes, bytes_at_psnr, peer_by_name
from qann_core.metrics import bits_per_pixel, psnr, ssim

from .choice import Choice, codec_of, pack
from .cores import shares
from .pictures import closer_look, lossless_bytes, png_bytes
from .session import Photo


@dataclass
class Result:
    """A photo at one N: the file, both decoded pictures and their measures.

    Attributes:
        levels, step: N and the quantization step that it gives.
        choice: what compressed it.
        data: the .qann file.
        quantized, restored: uint8 (H, W, 3), decoded without and with the restoration network.
        psnr_*, ssim_*: against the original.
        jpeg_bytes: length of a JPEG file with the restored picture's PSNR; None if out of reach.
        quantized_file: the quantized picture as a lossless file, and its extension.
        restored_png: the restored picture as a PNG file.
        spot: rows and columns of the small box where restoration helps most.
        peers: other codecs' files of at most as many bytes, filled as they are asked for.
    """

    levels: int
    step: float
    choice: Choice
    data: bytes
    quantized: np.ndarray
    restored: np.ndarray
    psnr_quantized: float
    psnr_restored: float
    ssim_quantized: float
    ssim_restored: float
    jpeg_bytes: float | None
    quantized_file: tuple[bytes, str]
    restored_png: bytes
    spot: tuple[slice, slice]
    peers: dict[str, PeerResult] = field(default_factory=dict)

    @property
    def bits_per_pixel(self) -> float:
        """Rate of the whole file."""
        return bits_per_pixel(len(self.data), *self.restored.shape[:2])

    @property
    def ratio(self) -> float:
        """How many times smaller than the raw 24-bit pixels the file is."""
        return self.restored.nbytes / len(self.data)

    @property
    def gain(self) -> float:
        """What restoration adds, in dB."""
        return self.psnr_restored - self.psnr_quantized

    @property
    def saving_over_jpeg(self) -> float | None:
        """Per cent fewer bytes than JPEG at the restored picture's PSNR; negative: more."""
        return None if self.jpeg_bytes is None else 100 * (1 - len(self.data) / self.jpeg_bytes)


def compress_photo(photo: Photo, levels: int) -> Result:
    """The photo at N = ``levels``, by what was chosen: file, pictures, measures.

    Restoration takes as long as all else together: it has the cores but one for itself.
    """
    choice, pixels = photo.choice, photo.pixels
    codec, latents = codec_of(choice.model), photo.latents(choice.model)
    quantized = codec.quantize(latents, levels, choice.effort)

    def without_restoration() -> tuple[np.ndarray, float, tuple[bytes, str]]:
        plain = codec.decode(quantized, restore=False)
        return plain, ssim(pixels, plain), lossless_bytes(plain)

    many, one = shares()
    restoring = many.submit(codec.decode, quantized)
    packing = one.submit(pack, quantized, choice)
    beside = one.submit(without_restoration)
    restored = restoring.result()
    reached = psnr(pixels, restored)
    ssim_restored = one.submit(ssim, pixels, restored)
    jpeg = one.submit(bytes_at_psnr, peer_by_name("jpeg"), pixels, reached, photo.jpeg)
    restored_png = png_bytes(restored)
    plain, ssim_quantized, quantized_file = beside.result()
    return Result(
        levels=quantized.levels,
        step=quantized.step,
        choice=choice,
        data=packing.result(),
        quantized=plain,
        restored=restored,
        psnr_quantized=psnr(pixels, plain),
        psnr_restored=reached,
        spot=closer_look(pixels, plain, restored),
        ssim_quantized=ssim_quantized,
        ssim_restored=ssim_restored.result(),
        jpeg_bytes=jpeg.result(),
        quantized_file=quantized_file,
        restored_png=restored_png,
    )


def peer_at_same_bytes(photo: Photo, result: Result, name: str) -> PeerResult:
    """What another codec makes of the photo in at most as many bytes; searched once."""
    if name not in result.peers:
        result.peers[name] = at_bytes(peer_by_name(name), photo.pixels, len(result.data))
    return result.peers[name]
