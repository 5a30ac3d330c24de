"""Cost of every stage on one image, beside other codecs at the same bytes in the same run.

    python benchmarks/codec_speed.py IMAGE [--levels N] [--repeat K] [--model NAME]

Prints the networks' multiply-accumulates per pixel, then for each stage the median of K runs in
seconds and in seconds per megapixel, and the peak memory. Weights are loaded before. Machines
differ: quote the ratios.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from qann_core import Codec, read_image
from qann_core.complexity import kilo_macs_per_pixel
from qann_core.evaluation.peers import at_bytes, available_peers
from qann_core.models import DEFAULT_MODEL


def median_seconds(work: Callable[[], object], repeat: int) -> float:
    """Median wall time of ``repeat`` calls, after one that does not count."""
    work()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--levels", type=int, default=96)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    codec = Codec.load(options.model)
    pixels = read_image(options.image).pixels
    latents = codec.encode(pixels)
    data = codec.pack(latents, options.levels)
    quantized = codec.unpack(data)
    stages: dict[str, Callable[[], object]] = {
        "encode (image to latents)": lambda: codec.encode(pixels),
        "pack (quantize, Brotli)": lambda: codec.pack(latents, options.levels),
        "unpack": lambda: codec.unpack(data),
        "decode and restore": lambda: codec.decode(quantized),
        "decode, quantized only": lambda: codec.decode(quantized, restore=False),
    }
    for peer in (peer for peer in available_peers() if peer.name in ("jpeg", "avif", "jpegxl")):
        quality = at_bytes(peer, pixels, len(data)).quality
        coded = peer.encode(pixels, quality)
        stages[f"{peer.label} encode, same bytes"] = partial(peer.encode, pixels, quality)
        stages[f"{peer.label} decode"] = partial(peer.decode, coded)
    height, width = pixels.shape[:2]
    cost = kilo_macs_per_pixel(codec.vae, codec.qann)
    print("kMAC per pixel: " + ", ".join(f"{part} {value:.1f}" for part, value in cost.items()))
    print(f"{width} x {height}, N = {options.levels}, {len(data)} bytes, ", end="")
    print(f"{torch.get_num_threads()} threads, medians of {options.repeat}")
    for stage, work in stages.items():
        seconds = median_seconds(work, options.repeat)
        print(f"{stage:28s} {seconds:8.3f} s {seconds * 1e6 / (width * height):8.3f} s/MP")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{'peak memory':28s} {peak:8.2f} GB")


if __name__ == "__main__":
    main()
