"""Rate-distortion points of the bundled photos, computed once: ``python -m app.curves.gallery``.

The command writes ``assets/examples/curves.json``. Points of other codecs stay true for ever;
those of this codec are only used with the model that they were computed with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from qann_core.evaluation.peers import available_peers
from qann_core.evaluation.points import Point, curve_of
from qann_core.metrics import bits_per_pixel

from ..choice import DEFAULT_CHOICE, codec_of
from ..examples import EXAMPLES, credits, example_photo
from ..session import Photo
from .sweeps import CODECS, QUANTIZERS, sweep

PATH = EXAMPLES / "curves.json"
_DIGITS = {"psnr": 3, "ssim": 5, "ms_ssim": 5, "ssimulacra2": 2}
"""The measures that are stored of a point, and their digits after the point."""


@cache
def _stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


def is_current(name: str) -> bool:
    """Whether this codec's stored points of a bundled photo are those of the default model."""
    return bool(_stored().get(name, {}).get("model") == codec_of().model_id)


def take_stored(photo: Photo) -> None:
    """Adds the stored points to a bundled photo that are true for what is chosen."""
    if not photo.bundled or photo.name not in _stored():
        return
    known = {peer.name for peer in available_peers()}
    own = photo.choice == DEFAULT_CHOICE and is_current(photo.name)
    have = {(point.kind, point.setting) for point in photo.points}
    photo.points += [
        point
        for point in _points(_stored()[photo.name]["curves"], photo)
        if (own or point.kind in known) and (point.kind, point.setting) not in have
    ]


def _points(curves: dict[str, list[list[float]]], photo: Photo) -> Iterable[Point]:
    height, width = photo.pixels.shape[:2]
    for codec, rows in curves.items():
        for row in rows:
            setting, n_bytes, *measured = row
            values: dict[str, float | None] = dict(zip(_DIGITS, measured, strict=True))
            bpp = bits_per_pixel(int(n_bytes), height, width)
            yield Point(curve_of(codec), int(setting), bpp, int(n_bytes), values)


def main() -> None:
    """Computes what is missing or of another model; it can be stopped, and goes on where it was.

    A photo takes some two minutes of one processor core; codecs, which are shown first, come first.
    """
    stored = dict(_stored())
    photos = [example_photo(credit.name) for credit in credits()]
    for photo, family in ((photo, family) for family in (CODECS, QUANTIZERS) for photo in photos):
        take_stored(photo)
        for _ in sweep(photo, family):
            pass
        stored[photo.name] = {"model": codec_of().model_id, "curves": _rows(photo.points)}
        text = json.dumps(stored, separators=(",", ":")).replace("]],", "]],\n")
        PATH.write_text(text + "\n", encoding="utf-8")
        print(photo.name, family, len(photo.points), flush=True)


def _rows(points: Iterable[Point]) -> dict[str, list[list[float]]]:
    curves: dict[str, list[list[float]]] = {}
    for point in sorted(points, key=lambda point: (point.kind, point.setting)):
        measured = [round(point.values[name] or 0.0, digits) for name, digits in _DIGITS.items()]
        row = [point.setting, point.n_bytes, *measured]
        curves.setdefault(point.kind, []).append(row)
    return curves


if __name__ == "__main__":
    main()
