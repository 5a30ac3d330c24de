"""Picture differences of each arithmetic and instruction set against float32, for docs/machines.md.

    python benchmarks/arithmetic.py FOLDER [--model default] [--images 6] [--levels 24 64 192]

Each setting runs in a process of its own, on every fourth image of the folder. bfloat16 is
emulated where the processor has none, with the same results and slowly. The table gives the
largest difference in grey levels, the share of samples that differ by more than one, in the mean
and in the worst image, and the PSNR between the pictures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from qann_core import Codec, read_image
from qann_core.common.files import find_images
from qann_core.networks import precision

SETTINGS: dict[str, dict[str, str]] = {
    "float32": {},
    "float32, SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "float32, AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "float32, AVX-512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "float32, ATen without vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "float32, without oneDNN": {"QANN_ARITHMETIC": "without oneDNN"},
    "bfloat16": {"QANN_ARITHMETIC": "bfloat16"},
}
"""What each row sets; the first is the reference."""


def write_files(options: argparse.Namespace, folder: Path) -> None:
    """The .qann files that all settings decode, N-IMAGE.qann."""
    codec = Codec.load(options.model)
    images = find_images([options.folder])
    for image in images[:: max(1, len(images) // options.images)][: options.images]:
        latents = codec.encode(read_image(image).pixels)
        for n in options.levels:
            (folder / f"{n}-{image.stem}.qann").write_bytes(codec.pack(latents, n))


def decode(files: Path, model: str, out: Path) -> None:
    """Decodes every file of a folder, as the environment says, into one .npz file."""
    arithmetic = os.environ.get("QANN_ARITHMETIC", "")
    torch.backends.mkldnn.set_flags(arithmetic != "without oneDNN")
    precision.has_native_bfloat16 = lambda device: arithmetic == "bfloat16"
    codec = Codec.load(model)
    found = {
        file.stem: codec.decode(codec.unpack(file.read_bytes())) for file in files.glob("*.qann")
    }
    np.savez(out, **found)  # type: ignore[arg-type]


def row(name: str, found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], n: int) -> str:
    """One line of the table, of one setting at one N."""
    differences = [
        np.abs(found[key].astype(int) - wanted[key]) for key in wanted if key.startswith(f"{n}-")
    ]
    shares = [100 * float((d > 1).mean()) for d in differences]
    square = float(np.mean([np.square(d).mean() for d in differences]))
    psnr = f"{10 * np.log10(255**2 / square):.1f}" if square else "equal"
    largest = max(int(d.max()) for d in differences)
    return f"| {name} | {n} | {largest} | {np.mean(shares):.4f} | {max(shares):.4f} | {psnr} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--levels", type=int, nargs="+", default=[24, 64, 192])
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)  # a setting's own process
    options = parser.parse_args()
    if options.out:
        decode(options.folder, options.model, options.out)
        return
    print(f"{torch.backends.cpu.get_cpu_capability()}, PyTorch {torch.__version__}\n")
    print("| arithmetic | N | largest | > 1, % | > 1, worst image, % | PSNR between, dB |")
    print("|---|--:|--:|--:|--:|--:|")
    wanted: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_files(options, Path(folder))
        for name, environment in SETTINGS.items():
            out = Path(folder) / "pictures.npz"
            command = [sys.executable, __file__, folder, "--model", options.model]
            subprocess.run([*command, "--out", str(out)], env=os.environ | environment, check=True)
            with np.load(out) as stored:
                found = dict(stored)
            wanted = wanted or found
            for n in options.levels if found is not wanted else []:
                print(row(name, found, wanted, n), flush=True)


if __name__ == "__main__":
    main()
