"""The ``qann`` command: compress, decompress, info, evaluate, benchmark, train and export.

Bad input is one sentence on stderr and exit status 2. torch and diffusers take seconds to import,
so each is imported only by the command that needs it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .cli_benchmark import add_benchmark
from .cli_training import add_training
from .entropy import CODER_NAMES
from .errors import ParameterError, QannError
from .limits import MAX_EFFORT, MAX_LEVELS, MAX_TENSOR_LEVELS, MIN_LEVELS, MIN_TENSOR_LEVELS

if TYPE_CHECKING:
    import numpy as np

    from .codec import AnyCodec

DEFAULT_LEVELS = (32, 48, 64, 96, 128, 192, 256)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except QannError as error:
        print(f"qann: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"qann: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("qann: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qann", description="A lossy image codec with a restoration network that knows N."
    )
    parser.add_argument("--version", action="version", version=f"qann {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compress(commands)
    _add_decompress(commands)
    _add_info(commands)
    _add_evaluate(commands)
    add_benchmark(commands, DEFAULT_LEVELS)
    add_training(commands)
    return parser


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
    _add_coder(parser)
    _add_common(parser)
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


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="rate and distortion over a folder of images")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", type=int, nargs="+", default=DEFAULT_LEVELS, metavar="N")
    parser.add_argument("--peers", nargs="*", default=["jpeg", "webp", "avif"], metavar="CODEC")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write JSON")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="also write CSV, a line a point")
    _add_coder(parser)
    _add_common(parser)
    parser.set_defaults(run=_evaluate)


def _add_coder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--coder", choices=tuple(CODER_NAMES.values()), help="entropy coder; by default Brotli"
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="default",
        help="a bundled model, a model folder, a diffusers VAE's folder, or hub:OWNER/NAME",
    )
    parser.add_argument("--force", action="store_true", help="overwrite existing files")


def _compress(options: argparse.Namespace) -> None:
    from .files import check_target
    from .images import read_image, write_bytes_atomically

    check_target(options.output, options.force)
    loaded = read_image(options.image)
    for notice in loaded.notices:
        print(f"note: {notice}", file=sys.stderr)

    from .codec import TensorCodec, load_codec

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
        f"{options.output}: {width} x {height}, N = {levels}, {len(data)} bytes, "
        f"{8 * len(data) / (width * height):.3f} bits per pixel"
    )


def _search(
    codec: AnyCodec, latents: Any, pixels: np.ndarray, options: argparse.Namespace
) -> tuple[bytes, int]:
    from tqdm import tqdm

    from .search import levels_for_bpp, levels_for_psnr

    with tqdm(desc="Searching N", unit=" tries", leave=False) as bar:
        if options.bpp is not None:
            return levels_for_bpp(codec, latents, options.bpp, bar.update, options.effort)
        return levels_for_psnr(codec, latents, pixels, options.psnr, bar.update, options.effort)


def _decompress(options: argparse.Namespace) -> None:
    from .files import check_target
    from .images import write_image

    check_target(options.output, options.force)
    data = _read_limited(options.file)

    from .codec import decompress, load_codec

    restore = not options.no_restore
    if options.model is None:
        pixels = decompress(data, restore)
    else:
        codec = load_codec(options.model)
        pixels = codec.decode(codec.unpack(data), restore)
    write_image(options.output, pixels, options.force)
    print(f"{options.output}: {pixels.shape[1]} x {pixels.shape[0]}")


def _info(options: argparse.Namespace) -> None:
    from .bitstream import read_header
    from .models import bundled_models

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


def _evaluate(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from .codec import load_codec
    from .files import check_target, find_images
    from .images import read_image, write_bytes_atomically
    from .peers import peer_by_name
    from .quantization import check_levels
    from .rate_distortion import evaluate

    for path in (options.json, options.csv):
        if path is not None:
            check_target(path, options.force)
    peers = [peer_by_name(name) for name in options.peers]
    paths = find_images([options.folder])
    codec = load_codec(options.model, options.coder)
    limits = codec.min_levels, codec.max_levels
    levels = [check_levels(n, *limits) for n in sorted(set(options.levels))]
    total = len(paths) * (2 * len(levels) + sum(len(peer.sweep) for peer in peers))
    with tqdm(total=total, desc="Evaluating", unit=" points") as bar:
        images = ((path.name, read_image(path).pixels) for path in paths)
        evaluation = evaluate(codec, images, levels, peers, lambda *_: bar.update())
    print(evaluation.to_table(), end="")
    if options.json is not None:
        write_bytes_atomically(options.json, evaluation.to_json().encode(), options.force)
    if options.csv is not None:
        write_bytes_atomically(options.csv, evaluation.to_csv().encode(), options.force)


def _read_limited(path: Path) -> bytes:
    """The bytes of a .qann file, refusing one that is larger than any can be."""
    from .bitstream import HEADER_BYTES
    from .limits import MAX_PAYLOAD

    limit = HEADER_BYTES + MAX_PAYLOAD
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ParameterError(f"{path} is larger than a .qann file can be ({limit} bytes).")
    return data
