"""Curves of codecs that cannot be run here, as others published them for a known set of images.

They are in ``assets/benchmarks/*-published.json`` with their source. A set of images is known by
its pixels, so that figures for Kodak are never drawn beside a benchmark of other pictures.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..models import models_folder

Published = dict[str, Any]
"""A file of published curves: ``source``, and ``curves`` by increasing rate, each with ``label``,
``bpp``, the measures that were published ("psnr" in dB over RGB, "ms_ssim"), and ``runnable``: the
benchmark runs this codec itself, so that it need not be drawn."""

NOTHING: Published = {"source": None, "curves": []}


def image_set(digests: Iterable[str]) -> str:
    """Names a set of images, in any order, by their pixels' digests: 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:16]


def benchmarks_folder() -> Path:
    """Where the stored figures are."""
    return models_folder().parent / "benchmarks"


def published_for(digests: Iterable[str]) -> Published:
    """What was published for exactly these images; NOTHING for any other set."""
    wanted = image_set(digests)
    for path in sorted(benchmarks_folder().glob("*-published.json")):
        values: Published = json.loads(path.read_text(encoding="utf-8"))
        if values["image_set"] == wanted:
            return values
    return NOTHING
