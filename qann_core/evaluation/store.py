"""What was measured so far: one text file a subject, one JSON line a point.

Lines are written when an image is done, so that a killed run loses the images in work and goes on
from there. A line counts only for the same pixels and the same program, weights and options.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .points import Curve, Point

Key = tuple[str, Curve, int]
"""An image's digest, a curve and a setting."""


def pixels_digest(pixels: np.ndarray) -> str:
    """Names an image by its pixels, uint8 (H, W, 3): 16 hexadecimal digits of a SHA-256."""
    header = "x".join(map(str, pixels.shape)).encode()
    return hashlib.sha256(header + pixels.tobytes()).hexdigest()[:16]


def read_points(path: Path | None, identities: Mapping[Curve, str]) -> dict[Key, Point]:
    """The points of a subject as it is now; the latest of each counts. Without a path, none.

    Lines of other weights or programs, or cut short by a killed run, are passed over.

    Args:
        identities: what each curve's points depend on, as it is now.
    """
    points: dict[Key, Point] = {}
    if path is None or not path.exists():
        return points
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
            identity, image = values.pop("identity"), values.pop("image")
            point = Point(**{**values, "curve": Curve(**values["curve"])})
            if identities.get(point.curve) == identity:
                points[image, point.curve, point.setting] = point
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return points


def append_points(
    path: Path | None, image: str, identities: Mapping[Curve, str], points: Iterable[Point]
) -> None:
    """Adds the points of an image, known by its digest. Without a path, does nothing.

    The last line may have been cut short, so it is ended first.
    """
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"identity": identities[p.curve], "image": image, **asdict(p)}) for p in points
    ]
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write("".join(f"{line}\n" for line in lines).encode())
