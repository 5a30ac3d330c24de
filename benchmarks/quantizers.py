"""The codec against the roads not taken: the same latents, other quantizers, or a wrong N.

    python benchmarks/quantizers.py FOLDER [--every K] [--levels N ...] [--model NAME] [--json OUT]

Prints Markdown tables of means over the images, rate and PSNR of every operating point and BD-rates
against plain quantization and against the restored curve; --json writes all points.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from experiment import folder_parser, write_json
from tqdm import tqdm

from qann_core import Codec, read_image
from qann_core.codec import EncodedCodec
from qann_core.comparators import comparators, sweep_comparator
from qann_core.comparators.told import sweep_told
from qann_core.deltas import bd_rate
from qann_core.files import find_images
from qann_core.rate_distortion import QUANTIZED, RESTORED, Evaluation, Point, sweep_codec


def main() -> None:
    """Sweeps, prints and writes."""
    parser = folder_parser(__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every K-th image")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    codec = Codec.load(options.model)
    per_image = []
    for path in tqdm(find_images([options.folder])[:: options.every], unit=" images"):
        pixels = read_image(path).pixels
        points = sweep_all(EncodedCodec(codec, codec.encode(pixels)), pixels, options.levels)
        per_image.append((path.name, tuple(points)))
    evaluation = Evaluation(tuple(per_image))
    if options.json is not None:
        rows = [{"image": n, **asdict(p)} for n, points in evaluation.per_image for p in points]
        write_json(options.json, {"model": codec.model_id, "points": rows})
    print(table(evaluation))


def sweep_all(codec: Codec, pixels: np.ndarray, levels: list[int]) -> list[Point]:
    """All points of one image."""
    points = [*sweep_codec(codec, pixels, levels), *sweep_told(codec, pixels, levels)]
    for comparator in comparators():
        points += sweep_comparator(codec, comparator, pixels)
    return points


def table(evaluation: Evaluation) -> str:
    """Operating points and BD-rates as Markdown."""
    curves = {name: evaluation.mean_curve(name) for name in evaluation.codecs()}
    lines = ["| quantizer   | setting: bits per pixel / PSNR in dB |", "|---|---|"]
    for name, curve in curves.items():
        cells = ", ".join(f"{p.setting}: {p.bpp:.3f} / {p.psnr:.2f}" for p in curve)
        lines.append(f"| {name} | {cells} |")
    lines += ["", f"| BD-rate, % | against {QUANTIZED} | against {RESTORED} |", "|---|--:|--:|"]
    flat = {n: ([p.bpp for p in c], [p.psnr for p in c]) for n, c in curves.items()}
    for name, (rates, values) in flat.items():
        deltas = [bd_rate(*flat[anchor], rates, values) for anchor in (QUANTIZED, RESTORED)]
        cells = " | ".join("n/a" if d is None else f"{d:+.1f}" for d in deltas)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
