"""What was measured so far: one text file a subject, one JSON line an image.

A line is written when its image is done, so that a killed run loses one image of each running
subject and goes on from there. A line counts only for the same pixels and the same codec.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..rate_distortion import Point


@dataclass(frozen=True)
class Record:
    """One image through one subject.

    Attributes:
        identity: the subject's, see ``Subject``.
        threads: how many threads it had.
        digest: of the image's pixels.
        points: all of the subject's points.
        idle_megabytes: memory of the process with the codec loaded, before its first image.
        peak_megabytes: most memory that the process had held until then.
    """

    identity: str
    threads: int
    digest: str
    points: tuple[Point, ...]
    idle_megabytes: float
    peak_megabytes: float

    def to_line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Record:
        """The record that ``to_line`` wrote; ValueError, KeyError or TypeError if it is not one."""
        values = json.loads(line)
        points = tuple(Point(**point) for point in values.pop("points"))
        return cls(points=points, **values)


def pixels_digest(pixels: np.ndarray) -> str:
    """Names an image by its pixels, uint8 (H, W, 3): 16 hexadecimal digits of a SHA-256."""
    header = "x".join(map(str, pixels.shape)).encode()
    return hashlib.sha256(header + pixels.tobytes()).hexdigest()[:16]


def read_records(
    path: Path, identity: str, threads: int, extra: Collection[str]
) -> dict[str, Record]:
    """The records of a subject as it is now, by image digest; the latest of each counts.

    Lines of another codec, of another number of threads, without a measure in ``extra``, or cut
    short by a killed run are passed over.
    """
    records: dict[str, Record] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            record = Record.from_line(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        fits = (record.identity, record.threads) == (identity, threads)
        if fits and all(getattr(p, name) is not None for p in record.points for name in extra):
            records[record.digest] = record
    return records


def append_record(path: Path, record: Record) -> None:
    """Adds a line; the last one may have been cut short, so it is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(record.to_line().encode())
