"""``qann compress``, ``decompress`` and ``info``: one file, standard input, or a whole folder."""

from __future__ import annotations

import argparse
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from ..batch import Compression, Decompression
from ..batch.tasks import read_packed
from ..bitstream import read_header
from ..coding.registry import CODER_NAMES
from ..common.errors import ParameterError, one_line
from ..common.files import check_target, write_bytes_atomically
from ..common.limits import MAX_EFFORT, MAX_LEVELS, MIN_LEVELS
from ..evaluation.measures import OWN_MEASURES
from ..images.metadata import not_kept
from ..models import bundled_models
from .batches import add_batch, is_batch, run_folder

FORMATS = ("png", "jpg", "webp", "avif", "tif", "bmp")


def add_files(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    for add in (_add_compress, _add_decompress, _add_info):
        add(commands)


# fmt: off
def _add_compress(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("compress", help="images to .qann files")
    add = parser.add_argument
    add("source", help="JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP image, HEIC after "
        "pip install '.[heif]'; - for standard input; or a folder")
    add("output", help="the .qann file to write; - for standard output; or a folder")
    target = parser.add_mutually_exclusive_group().add_argument
    target("--levels", type=int, metavar="N",  # argparse takes a default of 96 for one not given
           help=f"distinct values, {MIN_LEVELS} (small) to {MAX_LEVELS} (fine); default 96")
    target("--bpp", type=float, help="best file of at most so many bits per pixel")
    target("--psnr", type=float, help="smallest file of at least this PSNR in dB")
    target("--ssimulacra2", type=float, metavar="SCORE",
           help="smallest file of at least this score")
    add("--effort", type=int, default=0, metavar="PASSES",
        help=f"0 to {MAX_EFFORT} passes of rate-distortion optimisation: fewer bytes at the same "
        "quality, each pass taking the time of five to eight decodings; default 0, try 4")
    add("--coder", choices=tuple(CODER_NAMES.values()), help="entropy coder; by default Brotli")
    add("--keep-metadata", action="store_true",
        help="keep EXIF and XMP; decompress puts them into PNG, JPEG, WebP and AVIF files")
    add("--model", default="default",
        help="a bundled model, a model folder, a diffusers VAE's folder, or hub:OWNER/NAME")
    add("--force", action="store_true", help="overwrite existing files")
    add_batch(parser).add_argument(
        "--measure", nargs="+", choices=OWN_MEASURES, default=(), metavar="MEASURE",
        help=f"quality to record for each image, of {', '.join(OWN_MEASURES)}; costs a decoding",
    )
    parser.set_defaults(run=_compress)


def _add_decompress(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "decompress", help=".qann files to images",
        description="Decodes pictures up to the format's 64 binary megapixels, tile by tile; "
        "12 megapixels take about 1.4 GB of memory.",
    )
    add = parser.add_argument
    add("source", help="a .qann file; - for standard input; or a folder")
    add("output", help="the image to write, such as photo.png; - for standard output; or a folder")
    add("--format", choices=FORMATS, default="png",
        help="of images in a folder and on standard output; default png")
    add("--model", help="what made the file, where that is not a bundled model")
    add("--no-restore", action="store_true", help="leave the QANN network out")
    add("--force", action="store_true", help="overwrite existing files")
    add_batch(parser)
    parser.set_defaults(run=_decompress)


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("info", help="what a .qann file says about itself")
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_info)
# fmt: on


def _compress(options: argparse.Namespace) -> int:
    task = Compression(
        model=options.model,
        device=options.device,
        coder=options.coder,
        levels=96 if options.levels is None else options.levels,
        bpp=options.bpp,
        psnr=options.psnr,
        ssimulacra2=options.ssimulacra2,
        effort=options.effort,
        keep_metadata=options.keep_metadata,
        measures=tuple(options.measure),
    )
    if is_batch(options):
        return run_folder(task, options)
    facts = _run_file(task, options)
    if facts is not None:
        print(
            f"{one_line(options.output)}: {facts['width']} x {facts['height']}, "
            f"N = {facts['levels']}, {facts['bytes']} bytes, {facts['bpp']:.3f} bits per pixel"
        )
    return 0


def _decompress(options: argparse.Namespace) -> int:
    task = Decompression(
        options.model, options.device, not options.no_restore, f".{options.format}"
    )
    if is_batch(options):
        return run_folder(task, options)
    facts = _run_file(task, options)
    if facts is not None:
        print(f"{one_line(options.output)}: {facts['width']} x {facts['height']}")
    return 0


def _run_file(
    task: Compression | Decompression, options: argparse.Namespace
) -> dict[str, Any] | None:
    """Does one file; returns what to say about it, None where the output takes that place."""
    task.check()
    to_stdout = options.output == "-"
    if to_stdout and sys.stdout.isatty():
        raise ParameterError("The output is no text for a terminal; redirect it, or name a file.")
    if not to_stdout:
        inputs = () if options.source == "-" else (Path(options.source),)
        check_target(Path(options.output), options.force, inputs, task.written)
    if options.source == "-":  # as a whole: standard input cannot be sought in
        source: Path | BinaryIO = io.BytesIO(sys.stdin.buffer.read())
    else:
        source = Path(options.source)
    output = f"-{getattr(task, 'extension', '')}" if to_stdout else options.output
    data, facts = task.run(source, output)
    for notice in facts.get("notices", ()):
        print(f"note: {notice}", file=sys.stderr)
    if facts["not_kept"]:
        print(f"note: {not_kept(facts['not_kept'])}", file=sys.stderr)
    if to_stdout:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return None
    write_bytes_atomically(options.output, data, options.force)
    return {**facts, "bytes": len(data)}


def _info(options: argparse.Namespace) -> None:
    header = read_header(read_packed(options.file))
    names = {info.id: info.name for info in bundled_models()}
    facts = {**asdict(header), "bits_per_pixel": header.bits_per_pixel}
    facts["model"] = names.get(header.model_id)
    if options.json:
        print(json.dumps(facts, indent=2))
        return
    print(f"image        {header.width} x {header.height} pixels")
    print(f"levels N     {header.levels}")
    print(f"size         {header.total_bytes} bytes, {header.bits_per_pixel:.3f} bits per pixel")
    if header.metadata_bytes:
        print(f"metadata     {header.metadata_bytes} bytes besides")
    print(f"coder        {header.coder}")
    print(f"model        {header.model_id} ({facts['model'] or 'not installed'})")
    print(f"container    version {header.version}")
