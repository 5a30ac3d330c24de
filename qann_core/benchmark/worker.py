"""The process of one subject: ``python -m qann_core.benchmark.worker``, a ``Task`` on stdin.

It measures image after image, adds a line to the subject's file after each and prints the image's
name, so that whoever started it can follow. A process of its own gives a codec its own memory to
be measured, and pinning it to as many cores as it may have threads holds every library to them,
whatever pool of threads it keeps inside.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import QannError
from ..images import read_image
from .store import Record, append_record, pixels_digest
from .subjects import Selection, subjects


@dataclass(frozen=True)
class Task:
    """What a worker is to do.

    Attributes:
        selection, subject: names the subject.
        images: paths of the images that are still to be measured.
        store: the subject's file.
        extra: slow measures to take as well.
        cores: the processor's cores to run on, a thread each.
    """

    selection: Selection
    subject: str
    images: tuple[str, ...]
    store: str
    extra: tuple[str, ...]
    cores: tuple[int, ...]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The task that ``to_json`` wrote."""
        values = json.loads(text)
        selection = {key: tuple(value) for key, value in values.pop("selection").items()}
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(selection=Selection(**selection), **{**values, **lists})


def measure_images(task: Task) -> None:
    """Does the task."""
    (subject,) = (s for s in subjects(task.selection) if s.name == task.subject)
    sweep = subject.prepare()
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(len(task.cores))
    idle = peak_megabytes()
    for path in task.images:
        pixels = read_image(Path(path)).pixels
        record = Record(
            identity=subject.identity,
            threads=len(task.cores),
            digest=pixels_digest(pixels),
            points=tuple(sweep(pixels, task.extra)),
            idle_megabytes=idle,
            peak_megabytes=peak_megabytes(),
        )
        append_record(Path(task.store), record)
        print(path, flush=True)


def peak_megabytes() -> float:
    """The most memory that this process has held so far, in MB (10^6 bytes).

    From Linux's high-water mark where there is one: ``getrusage`` there counts what the process
    that started this one held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) / 1e6


def main() -> int:
    """Reads the task and does it; what was wrong goes to stderr, as one line, with status 2."""
    task = Task.from_json(sys.stdin.read())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, task.cores)
    try:
        measure_images(task)
    except QannError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
