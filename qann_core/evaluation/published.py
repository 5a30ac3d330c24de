"""Curves of codecs that cannot be run here, as others published them for a known set of images.

They are in ``assets/benchmarks/*-published.json`` with their source. A set of images is known by
its pixels, so that figures for Kodak are never drawn beside a benchmark of other pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models import models_folder


@dataclass(frozen=True)
class PublishedCurve:
    """Means over the images, by increasing rate.

    Attributes:
        label: the codec.
        bpp: bits per pixel.
        measures: "psnr" in dB over RGB and, where it was published, "ms_ssim", at each rate.
        runnable: whether the benchmark runs this codec itself, so that it need not be drawn.
    """

    label: str
    bpp: tuple[float, ...]
    measures: dict[str, tuple[float, ...]]
    runnable: bool


@dataclass(frozen=True)
class Published:
    """A file of published curves, and where they are from."""

    source: str
    curves: tuple[PublishedCurve, ...]


def image_set(digests: Iterable[str]) -> str:
    """Names a set of images, in any order, by their pixels' digests: 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:16]


def benchmarks_folder() -> Path:
    """Where the stored figures are."""
    return models_folder().parent / "benchmarks"


def published_for(digests: Iterable[str]) -> Published | None:
    """What was published for exactly these images; None for any other set."""
    wanted = image_set(digests)
    for path in sorted(benchmarks_folder().glob("*-published.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["image_set"] == wanted:
            return read_published(values)
    return None


def read_published(values: dict[str, Any]) -> Published:
    """The content of a file of published curves."""
    curves = tuple(
        PublishedCurve(
            label=curve["label"],
            bpp=tuple(curve["bpp"]),
            measures={name: tuple(curve[name]) for name in ("psnr", "ms_ssim") if name in curve},
            runnable=curve["runnable"],
        )
        for curve in values["curves"]
    )
    return Published(values["source"], curves)
