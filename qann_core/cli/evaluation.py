"""``qann evaluate``: its options, and what it writes. The work is ``qann_core.evaluation``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..common.files import check_target, find_images, write_bytes_atomically
from ..evaluation.cost import costs
from ..evaluation.measures import MEASURES, check_measures
from ..evaluation.peers import available_peers
from ..evaluation.published import published_for
from ..evaluation.results import to_csv, to_document
from ..evaluation.runner import Evaluation, evaluate
from ..evaluation.subjects import VARIANTS, make_subjects
from ..evaluation.tables import counted, levels_table, peers_table, report

DEFAULT_LEVELS = (32, 48, 64, 96, 128, 192, 256)


# fmt: off
def add_evaluation(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "evaluate",
        help="rate and distortion over a folder of images, beside other codecs",
        description="Measures this codec and others on every image below a folder. What was"
        " measured is kept in a folder of points: a run that was interrupted, or is asked for"
        " more, goes on from there. An image that cannot be read, or that a codec refuses, is"
        " named and left out there.",
    )
    add = parser.add_argument
    add("folder", type=Path)
    add("--levels", type=int, nargs="+", default=DEFAULT_LEVELS, metavar="N")
    add("--peers", nargs="*", default=["jpeg", "webp", "avif"], metavar="CODEC",
        help="other codecs, or 'all'; default: jpeg webp avif")
    add("--metrics", nargs="+", default=("psnr", "ssim", "ms_ssim"), choices=MEASURES)
    add("--model", nargs="+", default=["default"], metavar="MODEL",
        help="bundled models, folders or hub:OWNER/NAME; the first is the main one,"
        " as are the first coder and effort")
    add("--coder", nargs="+", default=[], metavar="CODER",
        help="entropy coders: brotli, prior; by default Brotli")
    add("--effort", type=int, nargs="+", default=[0], metavar="PASSES",
        help="passes of optimised quantization; default 0")
    add("--variants", nargs="*", default=[], choices=VARIANTS,
        help="also other quantizers, and a network that assumes a wrong N")
    add("--json", type=Path, metavar="OUT", help="also write JSON")
    add("--csv", type=Path, metavar="OUT", help="also write CSV, a line a point")
    add("--out", type=Path, metavar="DIR",
        help="also write JSON, CSV, a report and charts, named as the folder")
    add("--points", type=Path, metavar="DIR",
        help="where points are kept; default: in --out, or beside --json")
    add("--stored", action="store_true",
        help="measure nothing: results of the points that are there, of whole curves")
    add("--cost", action="store_true",
        help="also time and memory, one codec after the other on one core")
    add("--workers", type=int, default=os.cpu_count() or 1, metavar="K",
        help="processes at once; by default as many as there are cores")
    add("--force", action="store_true", help="overwrite existing files")
    parser.set_defaults(run=_evaluate)
# fmt: on


def _evaluate(options: argparse.Namespace) -> None:
    paths = find_images([options.folder])
    images = {path.relative_to(options.folder).as_posix(): path for path in paths}
    name = options.folder.resolve().name.lower() or "images"
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        check_target(options.out / f"{name}.json", options.force, paths)
    for path in (options.json, options.csv):
        if path is not None:
            check_target(path, options.force, paths)
    measures = check_measures(options.metrics)
    peers = options.peers
    if peers == ["all"]:
        peers = [peer.name for peer in available_peers()]
    subjects = make_subjects(
        options.model, options.levels, options.coder, options.effort, peers, options.variants
    )
    evaluation = _run(options, images, subjects, measures, name)
    document = to_document(evaluation)
    if options.cost:
        document["cost"] = _costs(document, evaluation, images)
    for one in document["left_out"]:
        print(f"note: {one['image']}: {one['subject']}: {one['reason']}", file=sys.stderr)
    _write(options, evaluation, document, name)
    print(levels_table(document), peers_table(document), sep="\n")
    print(f"Means over {counted(document)}.")


def _run(
    options: argparse.Namespace, images: dict[str, Path], subjects: Any, measures: Any, name: str
) -> Evaluation:
    store = options.points
    if store is None and options.out is not None:
        store = options.out / f"{name}-points"
    elif store is None and options.json is not None:
        store = options.json.with_suffix(".points")
    with tqdm(desc="Evaluating", unit=" images", disable=None) as bar:

        def progress(done: int, total: int, subject: str) -> None:
            bar.total = total
            bar.set_postfix_str(subject, refresh=False)
            bar.update(done - bar.n)

        return evaluate(
            images, subjects, measures, store, options.workers, not options.stored, progress
        )


def _costs(document: Any, evaluation: Evaluation, images: dict[str, Path]) -> Any:
    read = [images[name] for name in evaluation.digests]
    with tqdm(total=len(evaluation.subjects), desc="Cost", unit=" codecs", disable=None) as bar:
        return costs(document, evaluation.subjects, read, bar.update)


def _write(
    options: argparse.Namespace, evaluation: Evaluation, document: dict[str, Any], name: str
) -> None:
    """Writes the document, the points, the charts and the report, as far as they are asked for."""
    from ..evaluation.charts import draw, png  # matplotlib comes with it

    text = json.dumps(document, indent=1, allow_nan=False).encode() + b"\n"
    table = to_csv(evaluation.points, evaluation.measures).encode()
    files = {path: data for path, data in ((options.json, text), (options.csv, table)) if path}
    if options.out is not None:
        figures = draw(document, published_for(evaluation.digests.values()))
        charts = {f"{name}-{ending}.png": png(figure) for ending, figure in figures.items()}
        written = {f"{name}.json": text, f"{name}.csv": table, **charts}
        written[f"{name}.md"] = report(document, name, list(charts)).encode()
        files |= {options.out / file: data for file, data in written.items()}
    for path, data in files.items():
        write_bytes_atomically(path, data, options.force)
