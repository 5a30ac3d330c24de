"""Evaluates subjects over images in worker processes; what is measured is kept, and so resumed.

One bad file never ends an evaluation: an image that cannot be read, or that a codec refuses, is
left out there, with its reason.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..batch.pools import LocalPool, Lost, cores, results
from ..common.errors import ParameterError, QannError, one_line
from ..images import read_image
from .points import Point
from .store import Key, append_points, pixels_digest, read_points
from .subjects import Subject

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class LeftOut:
    """Something that could not be measured.

    Attributes:
        image: the image's name.
        subject: what could not measure it; empty where the image could not be read.
        reason: one sentence.
    """

    image: str
    subject: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """All that was measured.

    Attributes:
        found: how many images there are.
        digests: name to digest of the pixels, of each image that could be read, in order.
        subjects: what was compared, the main one first.
        measures: names of the measures.
        points: by image name, all points, in the order of subjects, curves and settings.
        left_out: what could not be measured.
    """

    found: int
    digests: dict[str, str]
    subjects: tuple[Subject, ...]
    measures: tuple[str, ...]
    points: dict[str, list[Point]]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Task:
    subject: Subject
    image: str
    digest: str
    path: Path
    settings: tuple[int, ...]
    measures: tuple[str, ...]


def evaluate(
    images: Mapping[str, Path],
    subjects: Sequence[Subject],
    measures: Sequence[str],
    store: Path | None = None,
    workers: int = 1,
    measure: bool = True,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Evaluation:
    """Measures what is not in the store yet, and returns everything.

    Args:
        images: files by the names that results give them.
        store: a folder for what was measured; None keeps nothing.
        workers: how many processes; with one, it is this one.
        measure: whether to measure at all; without, what is in the store is returned.
        progress: called after each image of each subject with how many are done, how many there
            are, and the subject's name.

    Raises:
        ParameterError: when the number of workers is not positive.
    """
    if workers < 1:
        raise ParameterError(f"The number of workers is {workers}; it must be at least 1.")
    digests, left_out = _digests(images)
    known: dict[Key, Point] = {}
    for subject in subjects:
        known |= read_points(_file(store, subject), subject.identities)
    pictures: dict[str, str] = {}  # by digest, each once
    for name, digest in digests.items():
        pictures.setdefault(digest, name)
    tasks = [
        task
        for subject in subjects
        for digest, name in pictures.items()
        if measure and (task := _missing(subject, name, digest, images[name], measures, known))
    ]
    total = len(subjects) * len(pictures)
    done = total - len(tasks)
    for task, result in _results(tasks, workers):
        if isinstance(result, str):
            left_out.append(LeftOut(task.image, task.subject.name, result))
        else:
            keys = [(task.digest, point.curve, point.setting) for point in result]
            for key, point in zip(keys, result, strict=True):
                earlier = known[key].values if key in known else {}
                known[key] = replace(point, values={**earlier, **point.values})
            file = _file(store, task.subject)
            append_points(file, task.digest, task.subject.identities, [known[key] for key in keys])
        done += 1
        progress(done, total, task.subject.name)
    curves = [(curve, n) for s in subjects for curve in s.identities for n in s.settings]
    points = {
        name: [
            found
            for curve, setting in curves
            if (found := known.get((digest, curve, setting))) and set(measures) <= set(found.values)
        ]
        for name, digest in digests.items()
    }
    order = {name: number for number, name in enumerate(images)}
    left_out.sort(key=lambda one: order[one.image])
    return Evaluation(
        len(images), digests, tuple(subjects), tuple(measures), points, tuple(left_out)
    )


def limit_threads(threads: int) -> None:
    """Holds this process's libraries to so many threads; before they are loaded, wholly."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def _file(store: Path | None, subject: Subject) -> Path | None:
    return store / f"{subject.name}.jsonl" if store else None


def _digests(images: Mapping[str, Path]) -> tuple[dict[str, str], list[LeftOut]]:
    digests, left_out = {}, []
    for name, path in images.items():
        try:
            digests[name] = pixels_digest(read_image(path).pixels)
        except (QannError, OSError) as error:
            left_out.append(LeftOut(name, "", str(error)))
    return digests, left_out


def _missing(
    subject: Subject,
    name: str,
    digest: str,
    path: Path,
    measures: Sequence[str],
    have: Mapping[Key, Point],
) -> _Task | None:
    """What is still to be measured of a picture: settings, and measures that some of them lack."""
    lacking: dict[int, set[str]] = {}
    for setting in subject.settings:
        stored = [have.get((digest, curve, setting)) for curve in subject.identities]
        lacking[setting] = {m for m in measures if not all(p and m in p.values for p in stored)}
    settings = tuple(setting for setting, absent in lacking.items() if absent)
    if not settings:
        return None
    wanted = tuple(m for m in measures if any(m in absent for absent in lacking.values()))
    return _Task(subject, name, digest, path, settings, wanted)


def _results(tasks: Sequence[_Task], workers: int) -> Iterator[tuple[_Task, list[Point] | str]]:
    """What each task gave, or why it failed, as they finish."""
    work = _Work(max(1, cores() // workers))
    if workers == 1:
        for task in tasks:
            yield task, work(task)
        return
    pool = LocalPool(work, workers)
    try:
        for task, outcome in results(pool, tasks):
            yield task, outcome.sentence if isinstance(outcome, Lost) else outcome
    finally:
        pool.close()


@dataclass(frozen=True)
class _Work:
    """What a worker does, see ``batch.pools``."""

    threads: int

    def prepare(self) -> None:
        limit_threads(self.threads)

    def __call__(self, task: _Task) -> list[Point] | str:
        """The points that a task asks for, or why there are none."""
        try:
            pixels = read_image(task.path).pixels
            return list(task.subject.points(pixels, task.settings, task.measures))
        except QannError as error:
            return str(error)
        except Exception as error:  # whatever a codec's library raises costs one image, not the run
            return one_line(f"{type(error).__name__}: {error}")
