"""The commands for single files: ``qann compress``, ``decompress`` and ``info``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError, one_line
from ..limits import MAX_EFFORT, MAX_LEVELS, MAX_TENSOR_LEVELS, MIN_LEVELS, MIN_TENSOR_LEVELS
from .options import add_coder, add_common

if TYPE_CHECKING:
    import numpy as np

    from ..codec import AnyCodec


def add_files(commands: argparse._SubParsersAction) -> None:
    """Adds the commands to the command line's parser."""
    _add_compress(commands)
    _add_decompress(commands)
    _add_info(commands)


def _add_compress(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("compress", help="image to .qann file")
    parser.add_argument("image", type=Path, help="JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP")
    parser.add_argument("output", type=Path, help="the .qann file to write")
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--levels",
        type=int,
        default=96,
        metavar="N",
        help=f"distinct values, {MIN_LEVELS} (small) to {MAX_LEVELS} (fine), or "
        f"{MIN_TENSOR_LEVELS} to {MAX_TENSOR_LEVELS} with a VAE of one latent tensor; default 96",
    )
    target.add_argument("--bpp", type=float, help="largest N whose file is at most this rate")
    target.add_argument("--psnr", type=float, help="smallest N that reaches this PSNR in dB")
    parser.add_argument(
        "--effort",
        type=int,
        default=0,
        metavar="PASSES",
        help=f"0 to {MAX_EFFORT} passes of rate-distortion optimisation: smaller files, decoded as"
        " any other, each pass taking the time of three or four decodings; default 0, try 4",
    )
    add_coder(parser)
    add_common(parser)
    parser.set_defaults(run=_compress)


def _add_decompress(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("decompress", help=".qann file to image")
    parser.add_argument("file", type=Path, help="the .qann file")
    parser.add_argument("output", type=Path, help="the image to write, such as photo.png")
    parser.add_argument("--model", help="what made the file, where that is not a bundled model")
    parser.add_argument("--no-restore", action="store_true", help="leave the QANN network out")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    parser.set_defaults(run=_decompress)


def _add_info(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("info", help="what a .qann file says about itself")
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_info)


def _compress(options: argparse.Namespace) -> None:
    from ..files import check_target, write_bytes_atomically
    from ..images import read_image

    check_target(options.output, options.force, [options.image], [".qann"])
    _check_levels(options)
    loaded = read_image(options.image)
    for notice in loaded.notices:
        print(f"note: {notice}", file=sys.stderr)

    from ..codec import TensorCodec, load_codec

    codec = load_codec(options.model, options.coder)
    if isinstance(codec, TensorCodec) and not codec.restores:
        print("note: this model has no restoration network", file=sys.stderr)
    latents = codec.encode(loaded.pixels)
    if options.bpp is not None or options.psnr is not None:
        data, levels = _search(codec, latents, loaded.pixels, options)
    else:
        levels = options.levels
        data = codec.pack(latents, levels, effort=options.effort)
    write_bytes_atomically(options.output, data, options.force)
    height, width = loaded.pixels.shape[:2]
    print(
        f"{one_line(options.output)}: {width} x {height}, N = {levels}, {len(data)} bytes, "
        f"{8 * len(data) / (width * height):.3f} bits per pixel"
    )


def _check_levels(options: argparse.Namespace) -> None:
    """Refuses N and the effort before anything is loaded."""
    from ..models import WAVELET_VAE, resolve_folder, vae_class

    if not 0 <= options.effort <= MAX_EFFORT:
        raise ParameterError(
            f"effort is {options.effort}; it must be a whole number from 0 to {MAX_EFFORT}."
        )
    low, high = MIN_TENSOR_LEVELS, MAX_TENSOR_LEVELS
    if vae_class(resolve_folder(options.model)) == WAVELET_VAE:
        low, high = MIN_LEVELS, MAX_LEVELS
    if not low <= options.levels <= high:
        raise ParameterError(
            f"N is {options.levels}; for this model it must be a whole number, {low} to {high}."
        )


def _search(
    codec: AnyCodec, latents: Any, pixels: np.ndarray, options: argparse.Namespace
) -> tuple[bytes, int]:
    from tqdm import tqdm

    from ..search import levels_for_bpp, levels_for_psnr

    with tqdm(desc="Searching N", unit=" tries", leave=False) as bar:
        if options.bpp is not None:
            return levels_for_bpp(codec, latents, options.bpp, bar.update, options.effort)
        return levels_for_psnr(codec, latents, pixels, options.psnr, bar.update, options.effort)


def _decompress(options: argparse.Namespace) -> None:
    from ..files import check_target
    from ..images import WRITTEN_EXTENSIONS, write_image

    check_target(options.output, options.force, [options.file], WRITTEN_EXTENSIONS)
    data = _read_limited(options.file)

    from ..codec import decompress, load_codec

    restore = not options.no_restore
    if options.model is None:
        pixels = decompress(data, restore)
    else:
        codec = load_codec(options.model)
        pixels = codec.decode(codec.unpack(data), restore)
    write_image(options.output, pixels, options.force)
    print(f"{one_line(options.output)}: {pixels.shape[1]} x {pixels.shape[0]}")


def _info(options: argparse.Namespace) -> None:
    from ..bitstream import read_header
    from ..models import bundled_models

    header = read_header(_read_limited(options.file))
    names = {info.id: info.name for info in bundled_models()}
    facts = {**asdict(header), "bits_per_pixel": header.bits_per_pixel}
    facts["model"] = names.get(header.model_id)
    if options.json:
        print(json.dumps(facts, indent=2))
        return
    print(f"image        {header.width} x {header.height} pixels")
    print(f"levels N     {header.levels}")
    print(f"size         {header.total_bytes} bytes, {header.bits_per_pixel:.3f} bits per pixel")
    print(f"coder        {header.coder}")
    print(f"model        {header.model_id} ({facts['model'] or 'not installed'})")
    print(f"container    version {header.version}")


def _read_limited(path: Path) -> bytes:
    """The bytes of a .qann file, refusing one that is larger than any can be."""
    from ..bitstream import HEADER_BYTES
    from ..limits import MAX_PAYLOAD

    limit = HEADER_BYTES + MAX_PAYLOAD
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ParameterError(f"{path} is larger than a .qann file can be ({limit} bytes).")
    return data
