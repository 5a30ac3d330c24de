"""``qann evaluate``: its options, and what it writes."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import DEFAULT_LEVELS, add_coder, add_common


def add_evaluation(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    parser = commands.add_parser("evaluate", help="rate and distortion over a folder of images")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", type=int, nargs="+", default=DEFAULT_LEVELS, metavar="N")
    parser.add_argument("--peers", nargs="*", default=["jpeg", "webp", "avif"], metavar="CODEC")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write JSON")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="also write CSV, a line a point")
    add_coder(parser)
    add_common(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..codec import load_codec
    from ..evaluation.peers import peer_by_name
    from ..files import check_target, find_images, write_bytes_atomically
    from ..images import read_image
    from ..quantization import check_levels
    from ..rate_distortion import evaluate

    paths = find_images([options.folder])
    for path in (options.json, options.csv):
        if path is not None:
            check_target(path, options.force, paths)
    peers = [peer_by_name(name) for name in options.peers]
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
