"""What the network loses when it is told half or twice the true N, image by image.

    python benchmarks/wrong_levels.py FOLDER [--levels N ...] [--model NAME] [--effort PASSES]
        [--out JSON]

Prints a Markdown table of mean PSNR restored at the true, half and double N, with the least margin
of the truth over all images, and writes it with every image's PSNR as JSON.
"""

from pathlib import Path

import numpy as np
from experiment import folder_parser, write_json
from tqdm import tqdm

from qann_core import Codec, QuantizedLatents, read_image
from qann_core.comparators.told import FACTORS, decode_told, told_levels
from qann_core.files import find_images
from qann_core.metrics import psnr

OUT = Path("assets/benchmarks/wrong-levels.json")
TRUE = "true"


def main() -> None:
    """Measures, prints and writes."""
    parser = folder_parser(__doc__)
    parser.add_argument("--effort", type=int, default=0, help="of optimised quantization")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    codec = Codec.load(options.model)
    rows = []
    for path in tqdm(find_images([options.folder]), unit=" images"):
        pixels = read_image(path).pixels
        latents = codec.encode(pixels)
        for levels in options.levels:
            quantized = codec.quantize(latents, levels, options.effort)
            rows.append({"image": path.name, **row(codec, quantized, pixels)})
    result = {
        "model": codec.model_id,
        "effort": options.effort,
        "images": len(rows) // len(options.levels),
        "by_levels": [summary(rows, n) for n in options.levels],
        "per_image": rows,
    }
    write_json(options.out, result)
    print(table(result))


def row(codec: Codec, quantized: QuantizedLatents, pixels: np.ndarray) -> dict[str, float]:
    """N and the PSNR, in dB, of one image restored with the network told each N in turn."""
    levels = quantized.levels
    told = {TRUE: levels} | {name: told_levels(name, levels) for name in FACTORS}
    return {
        "levels": levels,
        **{name: psnr(pixels, decode_told(codec, quantized, n)) for name, n in told.items()},
    }


def summary(rows: list[dict], levels: int) -> dict[str, float]:
    """Means over the images at one N, and by how much the truth wins at the least."""
    chosen = [row for row in rows if row["levels"] == levels]
    return {
        "levels": levels,
        **{name: float(np.mean([row[name] for row in chosen])) for name in (TRUE, *FACTORS)},
        **{
            f"least_margin_{name}": min(row[TRUE] - row[name] for row in chosen) for name in FACTORS
        },
    }


def table(result: dict) -> str:
    """The means and least margins as Markdown."""
    lines = [
        f"Means over {result['images']} images, PSNR in dB; least margin of the true N",
        "",
        "|   N | true N | told N/2 | told 2N | least margin, N/2 | least margin, 2N |",
        "|----:|-------:|---------:|--------:|------------------:|-----------------:|",
    ]
    for row in result["by_levels"]:
        half, double = FACTORS
        lines.append(
            f"| {row['levels']:3d} | {row[TRUE]:6.2f} | {row[half]:8.2f} | {row[double]:7.2f} "
            f"| {row[f'least_margin_{half}']:+17.3f} | {row[f'least_margin_{double}']:+16.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
