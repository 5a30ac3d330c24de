"""Run by test_machines.py under one setting: decodes and packs anew what the golden files hold.

python tests/machines/probe.py OUT.npz [--without-onednn]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from qann_core import Codec
from qann_core.bitstream import read_header
from qann_core.models import bundled_models, model_by_id

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("photo-coarse", "photo-medium", "noise")
"""Golden files at N = 24, 96 and 512."""


def golden_files() -> list[Path]:
    """Those files, of every bundled model and both coders."""
    files = sorted((ROOT / "tests" / "golden").rglob("*.qann"))
    known = [info.id for info in bundled_models()]
    return [f for f in files if f.name.startswith(NAMES) and f.parent.name in known]


def main() -> None:
    """Stores, for each file and for one and two threads, integers, bytes and pictures."""
    torch.backends.mkldnn.set_flags("--without-onednn" not in sys.argv)
    results: dict[str, np.ndarray] = {}
    codecs: dict[str, Codec] = {}
    photo = np.asarray(Image.open(ROOT / "assets" / "examples" / "astronaut.jpg").convert("RGB"))
    for file in golden_files():
        data = file.read_bytes()
        header = read_header(data)
        codec = codecs.setdefault(header.model_id, Codec.load(model_by_id(header.model_id).name))
        for threads in (1, 2):
            torch.set_num_threads(threads)
            quantized = codec.unpack(data)
            key = f"{file.parent.name}-{file.stem}/{threads}"
            results[f"integers/{key}"] = np.concatenate([b.ravel() for b in quantized.bands])
            packed = codec.pack_integers(quantized, header.coder)
            results[f"bytes/{key}"] = np.frombuffer(packed, np.uint8)
            results[f"picture/{key}"] = codec.decode(quantized)
    for identifier, codec in codecs.items():
        bands = codec.quantize(codec.encode(photo[100:228, 150:342].copy()), 96).bands
        results[f"encoded/{identifier}"] = np.concatenate([band.ravel() for band in bands])
    np.savez(sys.argv[1], **results)


if __name__ == "__main__":
    main()
