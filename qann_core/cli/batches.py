"""Whole folders in ``qann compress`` and ``decompress``: options, progress and summary."""

import argparse
import sys
import time
from pathlib import Path

from tqdm import tqdm

from ..batch import Compression, Decompression, Store, Summary, run_batch
from ..batch.manifest import Record
from ..common.errors import ParameterError, one_line
from ..images.metadata import not_kept

_NAMED = 20
"""Failures that the summary names; the manifest has all."""


def add_batch(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Adds the device and the options that only folders have."""
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda", "auto"),
        default="cpu",
        help="cpu, cuda or auto (cuda if there is a GPU); default cpu",
    )
    group = parser.add_argument_group(
        "folders",
        "A tree of files to the same tree in another folder, or in an object store such as "
        "s3://bucket/photos. OUTPUT/manifest.jsonl records each file; the same command again does "
        "what is missing or changed. Exit status 1: some files failed.",
    )
    group.add_argument("--workers", type=int, metavar="COUNT", help="processes; default: the cores")
    group.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster that does it, or auto")
    return group


def is_batch(options: argparse.Namespace) -> bool:
    """Whether the source is a folder.

    Raises:
        ParameterError: when it is not, and an option was given that only folders have.
    """
    if "://" in options.source or Path(options.source).is_dir():
        return True
    for name in ("workers", "ray", "measure"):
        if getattr(options, name, None):
            raise ParameterError(f"--{name} is for folders, and {options.source} is none.")
    return False


def run_folder(task: Compression | Decompression, options: argparse.Namespace) -> int:
    """Processes a folder and prints a summary; returns the exit status."""
    if options.output == "-":
        raise ParameterError("A folder's output is a folder, not standard output.")
    began = time.monotonic()
    with tqdm(desc=task.verb, unit="file", disable=None, smoothing=0.05) as bar:

        def show(record: Record | None, total: int) -> None:
            if record is None:
                bar.reset(total)
            else:
                bar.update()

        source, target = Store(options.source), Store(options.output)
        summary = run_batch(task, source, target, options.workers, options.ray, options.force, show)
    _tell(summary, task.verb, time.monotonic() - began)
    return 1 if summary.failed else 0


def _tell(summary: Summary, verb: str, seconds: float) -> None:
    for notice, count in summary.notices.most_common():
        print(f"note: {notice} ({_files(count)})", file=sys.stderr)
    if summary.not_kept:
        print(f"note: {not_kept(summary.not_kept)}", file=sys.stderr)
    for path, error in summary.failed[:_NAMED]:
        print(f"qann: {one_line(path)}: {one_line(error)}", file=sys.stderr)
    if len(summary.failed) > _NAMED:
        print(f"qann: and {len(summary.failed) - _NAMED} more, see the manifest", file=sys.stderr)
    rate = ""
    if verb == "compress" and summary.pixels:
        rate = f", {8 * summary.bytes_out / summary.pixels:.3f} bits per pixel"
    print(
        f"{_files(summary.done)} {verb}ed: {_size(summary.bytes_in)} to "
        f"{_size(summary.bytes_out)}{rate}, {seconds:.1f} s; "
        f"{summary.current} done before; {len(summary.failed)} failed"
    )


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _size(count: int) -> str:
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count} bytes"
