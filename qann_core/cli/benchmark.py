"""``qann benchmark``: its options, and what it writes. The work is ``qann_core.benchmark``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ParameterError
from .options import DEFAULT_LEVELS

if TYPE_CHECKING:
    from ..benchmark.results import Benchmark
    from ..benchmark.runner import Plan

_MEASURES = ("psnr", "ssim", "ms_ssim", "ssimulacra2")
_VARIANTS = ("told", "daq", "rq")


def add_benchmark(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "benchmark",
        help="this codec against all others over a folder, with time and memory",
        description="Measures every codec in a process of its own and writes NAME.json, NAME.csv,"
        " NAME.md and charts, NAME being the folder's name. What was measured is kept in"
        " NAME-points: a run that was interrupted goes on, and codecs that did not change are not"
        " measured again. Remove that folder to start afresh.",
    )
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="default: bundled photos")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"), metavar="FOLDER")
    parser.add_argument("--peers", nargs="*", metavar="CODEC", help="default: all there are")
    parser.add_argument("--variants", nargs="*", default=_VARIANTS, choices=_VARIANTS,
                        help="wrong N told, other quantizers; default: all")  # fmt: skip
    parser.add_argument("--metrics", nargs="+", default=_MEASURES[:3], choices=_MEASURES)
    parser.add_argument("--model", nargs="+", default=["default"], metavar="MODEL",
                        help="bundled models or folders; the first is the main one")  # fmt: skip
    parser.add_argument("--levels", type=int, nargs="+", default=DEFAULT_LEVELS, metavar="N")
    parser.add_argument("--effort", type=int, nargs="*", default=(), metavar="PASSES",
                        help="the main model with optimised quantization, too")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="processes at once; default 1")
    parser.add_argument("--threads", type=int, default=1, help="of each process; default 1")
    parser.add_argument("--force", action="store_true", help="overwrite NAME.json and the others")
    parser.set_defaults(run=_benchmark)


def _benchmark(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..benchmark.published import published_for
    from ..benchmark.results import Benchmark
    from ..benchmark.runner import run
    from ..benchmark.subjects import subjects
    from ..files import check_target

    plan, name = _plan(options)
    options.out.mkdir(parents=True, exist_ok=True)
    check_target(options.out / f"{name}.json", options.force)
    missing = {subject.name: len(plan.missing(subject)) for subject in subjects(plan.selection)}
    total = len(missing) * len(plan.images)
    with tqdm(total=total, initial=total - sum(missing.values()), unit=" images") as bar:

        def progress(subject: str) -> None:
            bar.set_description(subject)
            bar.update()

        measured = run(plan, progress)
    benchmark = Benchmark(
        measured=tuple(measured),
        names=tuple(path.name for path in plan.images),
        measures=tuple(options.metrics),
        threads=options.threads,
        published=published_for(plan.digests),
    )
    _write(benchmark, options.out, name)


def _plan(options: argparse.Namespace) -> tuple[Plan, str]:
    """The plan, and the name of its results."""
    from ..benchmark.runner import make_plan
    from ..benchmark.subjects import Selection
    from ..evaluation.peers import available_peers
    from ..files import find_images
    from ..models import models_folder
    from ..optimised_quantization import check_effort
    from ..quantization import check_levels

    if "psnr" not in options.metrics:
        raise ParameterError("The metrics must include psnr, which the stored results rest on.")
    folder = options.images or models_folder().parent / "examples"
    peers = options.peers
    selection = Selection(
        peers=tuple(peer.name for peer in available_peers()) if peers is None else tuple(peers),
        models=tuple(options.model),
        levels=tuple(check_levels(n) for n in sorted(set(options.levels))),
        variants=tuple(options.variants),
        efforts=tuple(check_effort(passes) for passes in sorted({*options.effort} - {0})),
    )
    name = folder.resolve().name.lower()
    store = options.out / f"{name}-points"
    extra = [metric for metric in options.metrics if metric == "ssimulacra2"]
    images = find_images([folder])
    return make_plan(images, selection, store, extra, options.jobs, options.threads), name


def _write(benchmark: Benchmark, folder: Path, name: str) -> None:
    """Writes the document, the points, the charts and the report, and prints the tables."""
    from ..benchmark.figures import draw
    from ..benchmark.results import to_csv, to_document
    from ..benchmark.tables import cost_table, deltas_table, levels_table, report
    from ..charts import png
    from ..files import write_bytes_atomically

    document = to_document(benchmark)
    files = {f"{name}.json": json.dumps(document, indent=1, allow_nan=False).encode() + b"\n"}
    files[f"{name}.csv"] = to_csv(benchmark).encode()
    charts = draw(document, benchmark.published)
    for ending, figure in charts.items():
        files[f"{name}-{ending}.png"] = png(figure, dpi=110)
    pictures = [file for file in files if file.endswith(".png")]
    files[f"{name}.md"] = report(document, name, pictures).encode()
    for file, data in files.items():
        write_bytes_atomically(folder / file, data, force=True)
    print(levels_table(document), deltas_table(document), cost_table(document), sep="\n", end="")
    print(f"\n{folder}: {', '.join(files)}")
