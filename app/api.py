"""The named endpoints, for programs (gradio_client) and for models (as MCP tools)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import gradio as gr

from qann_core import ParameterError
from qann_core.bitstream import read_header
from qann_core.common.limits import MAX_LEVELS, MIN_LEVELS
from qann_core.metrics import bits_per_pixel, ssim

from .choice import DEFAULT_CODER, DEFAULT_MODEL, Choice, check_choice, model_names
from .compress import Result, compress_photo, peer_at_same_bytes
from .curves.measures import MEASURES, bd_rates
from .curves.sweeps import shown_peers, sweep
from .open_file.events import decode_file
from .photos import PAGE_MEGAPIXELS, Photo, latents_pool, read_photo
from .pictures import cache_file, png_bytes
from .toasts import refused


def compress(
    image: str,
    levels: float = 96,
    model: str = DEFAULT_MODEL,
    coder: str = DEFAULT_CODER,
    optimise: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Compresses a photo to a .qann file, a lossy format with learned restoration.

    Args:
        image: The photo: a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP file of at most 30 MB; one of
            more than 12 megapixels is scaled down.
        levels: N, the number of distinct values kept, a whole number from 16 to 512. Small N gives
            a small file and a coarse picture; 24 is about 0.1 and 96 about 0.4 bits per pixel.
        model: Name of a bundled model; "default" is the best one.
        coder: Entropy coder: "brotli", or another that the model has.
        optimise: Whether the encoder may take some seconds a megapixel more, for about 6 % fewer
            bytes at the same quality; for photos of at most 3 megapixels.

    Returns:
        The .qann file.
        Its N, model, coder, effort, step, bytes, bits per pixel, compression ratio against raw
        pixels, size in pixels, notices on how the photo was changed, and PSNR (dB) and SSIM of the
        decoded picture without (quantized) and with (restored) the network.
    """
    photo, result = _compressed(image, levels, check_choice(model, coder, optimise))
    return cache_file(result.data, f"{photo.name}.qann"), _measures(photo, result)


def decompress(file: str, restore: bool = True) -> tuple[str, dict[str, Any]]:
    """Decodes a .qann file to a PNG picture.

    Args:
        file: The .qann file.
        restore: Whether the restoration network repairs the picture; without it, the picture is
            what plain dequantization gives.

    Returns:
        The picture as a PNG file.
        What the file's header says: version, width, height, N, coder, model, bytes.
    """
    data = Path(file).read_bytes()
    pixels = decode_file(data, restore)
    header = read_header(data)
    facts = {**vars(header), "bits_per_pixel": header.bits_per_pixel}
    return cache_file(png_bytes(pixels), f"{Path(file).stem}.png"), facts


def compare(
    image: str,
    levels: float = 96,
    model: str = DEFAULT_MODEL,
    coder: str = DEFAULT_CODER,
    optimise: bool = False,
) -> dict[str, Any]:
    """Measures QANN on a photo against JPEG, WebP and AVIF at the same number of bytes.

    Args:
        image: The photo: a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP file of at most 30 MB.
        levels: N, the number of distinct values kept, a whole number from 16 to 512.
        model: Name of a bundled model; "default" is the best one.
        coder: Entropy coder: "brotli", or another that the model has.
        optimise: Whether the encoder may take some seconds a megapixel more, for about 6 % fewer
            bytes at the same quality; for photos of at most 3 megapixels.

    Returns:
        What `compress` measures, the gain of restoration in dB, per cent fewer bytes than a JPEG
        of the same PSNR (null if JPEG cannot reach it), and for each other codec its quality,
        bytes, bits per pixel and PSNR at no more bytes than the .qann file (fits: whether it can).
    """
    photo, result = _compressed(image, levels, check_choice(model, coder, optimise))
    height, width = photo.pixels.shape[:2]
    peers = {}
    for peer in shown_peers():
        found = peer_at_same_bytes(photo, result, peer.name)
        peers[peer.name] = {
            "quality": found.quality,
            "bytes": len(found.data),
            "bits_per_pixel": bits_per_pixel(len(found.data), height, width),
            "psnr": found.psnr,
            "fits": found.met,
        }
    return {
        **_measures(photo, result),
        "gain_db": result.gain,
        "per_cent_fewer_bytes_than_jpeg": result.saving_over_jpeg,
        "same_bytes": peers,
    }


def rate_distortion(
    image: str, model: str = DEFAULT_MODEL, coder: str = DEFAULT_CODER
) -> dict[str, Any]:
    """Computes a photo's rate-distortion curves: this codec, JPEG, WebP and AVIF.

    Takes about half a minute for a photo of 768 x 512 pixels.

    Args:
        image: The photo: a JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP file of at most 30 MB.
        model: Name of a bundled model; "default" is the best one.
        coder: Entropy coder: "brotli", or another that the model has.

    Returns:
        All points (codec, setting, bits per pixel, bytes, PSNR in dB, SSIM, MS-SSIM and
        SSIMULACRA 2) and, by PSNR, the BD-rate in per cent of the restored curve against each
        other one (negative: fewer bits).
    """
    photo = read_photo(image, Path(image).stem)
    photo.use(check_choice(model, coder))
    try:
        points = [vars(point) for point in sweep(photo)]
    finally:
        latents_pool.drop(photo.key)
    return {"points": points, "bd_rate_per_cent": bd_rates(photo.points, MEASURES["PSNR"])}


def _compressed(image: str, levels: float, choice: Choice) -> tuple[Photo, Result]:
    photo = read_photo(image, Path(image).stem)
    if choice.effort and photo.pixels[..., 0].size > PAGE_MEGAPIXELS * 1e6:
        raise ParameterError(
            f"Optimised integers are for photos of at most {PAGE_MEGAPIXELS} megapixels here; the "
            "command `qann compress --effort` takes larger ones."
        )
    photo.use(choice)
    try:
        return photo, compress_photo(photo, cast(int, levels))
    finally:
        latents_pool.drop(photo.key)


def _measures(photo: Photo, result: Result) -> dict[str, Any]:
    height, width = photo.pixels.shape[:2]
    return {
        "levels": result.levels,
        "model": result.choice.model,
        "coder": read_header(result.data).coder,
        "effort": result.choice.effort,
        "step": result.step,
        "bytes": len(result.data),
        "bits_per_pixel": result.bits_per_pixel,
        "ratio": result.ratio,
        "width": width,
        "height": height,
        "notices": list(photo.notices),
        "psnr_quantized": result.psnr_quantized,
        "psnr_restored": result.psnr_restored,
        "ssim_quantized": ssim(photo.pixels, result.quantized),
        "ssim_restored": ssim(photo.pixels, result.restored),
    }


def build() -> None:
    """The endpoints; their components are typed and documented, and never shown."""
    image = gr.File(label="image", visible=False)
    qann = gr.File(label="file", visible=False)
    levels = gr.Number(96, label="levels", precision=None, visible=False,
                       info=f"N, a whole number from {MIN_LEVELS} to {MAX_LEVELS}")  # fmt: skip
    model = gr.Textbox(DEFAULT_MODEL, label="model", visible=False,
                       info=f"one of: {', '.join(model_names())}")  # fmt: skip
    coder = gr.Textbox(DEFAULT_CODER, label="coder", visible=False, info="an entropy coder")
    optimise = gr.Checkbox(False, label="optimise", visible=False)
    restore = gr.Checkbox(True, label="restore", visible=False)
    out_file = gr.File(label="file", visible=False)
    out_data = gr.JSON(label="measures", visible=False)
    endpoints = (
        (compress, [image, levels, model, coder, optimise], [out_file, out_data], "codec"),
        (decompress, [qann, restore], [out_file, out_data], "codec"),
        (compare, [image, levels, model, coder, optimise], [out_data], "codec"),
        (rate_distortion, [image, model, coder], [out_data], "curves"),
    )
    for function, inputs, outputs, group in endpoints:
        gr.Button(visible=False).click(
            refused(function), inputs, outputs, api_name=function.__name__,
            concurrency_id=group, concurrency_limit=1, show_progress="hidden",
        )  # fmt: skip
