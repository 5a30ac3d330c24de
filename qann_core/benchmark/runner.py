"""Starts a worker for each subject, a few at once, and collects what they measured."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..errors import ParameterError, QannError
from ..images import read_image
from .store import Record, pixels_digest, read_records
from .subjects import Selection, Subject, subjects
from .worker import Task

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Measured:
    """A subject and its record for each image, in the images' order."""

    subject: Subject
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Plan:
    """A benchmark to run, or to go on with.

    Attributes:
        images: the image files.
        digests: of their pixels.
        selection: what to compare.
        store: the folder of the measurements.
        extra: slow measures to take as well.
        jobs: how many processes at once.
        threads: how many threads each has.
    """

    images: tuple[Path, ...]
    digests: tuple[str, ...]
    selection: Selection
    store: Path
    extra: tuple[str, ...]
    jobs: int
    threads: int

    def file(self, subject: Subject) -> Path:
        """Where a subject's measurements are kept."""
        return self.store / f"{subject.name}.jsonl"

    def records(self, subject: Subject) -> dict[str, Record]:
        """What is known of a subject, by image digest."""
        return read_records(self.file(subject), subject.identity, self.threads, self.extra)

    def missing(self, subject: Subject) -> tuple[str, ...]:
        """Paths of the images that the subject has not been measured on, each picture once."""
        known = self.records(subject)
        paths = dict(zip(reversed(self.digests), reversed(self.images), strict=True))
        return tuple(str(paths[d]) for d in dict.fromkeys(self.digests) if d not in known)


def make_plan(
    images: Sequence[Path],
    selection: Selection,
    store: Path,
    extra: Sequence[str],
    jobs: int,
    threads: int,
) -> Plan:
    """Checks what is asked for and reads every image once, to know it by its pixels.

    Raises:
        ParameterError: when there are not enough cores for that many jobs and threads.
        ImageError: when an image cannot be read.
    """
    cores = len(_cores())
    if jobs < 1 or threads < 1 or jobs * threads > cores:
        raise ParameterError(
            f"{jobs} jobs of {threads} threads need {jobs * threads} cores of the {cores} here;"
            " use fewer, but at least one of each."
        )
    digests = tuple(pixels_digest(read_image(path).pixels) for path in images)
    return Plan(tuple(images), digests, selection, store, tuple(extra), jobs, threads)


def run(plan: Plan, progress: Callable[[str], None]) -> list[Measured]:
    """Measures what is missing and returns everything.

    Args:
        progress: called, from any thread, with the subject's name after each of its images.

    Raises:
        QannError: when a worker failed; the others' measurements are kept.
    """
    chosen = subjects(plan.selection)
    workers = _Workers(plan, progress)
    with ThreadPoolExecutor(plan.jobs) as pool:
        try:
            for done in [pool.submit(workers.measure, subject) for subject in chosen]:
                done.result()
        finally:
            workers.stop()  # before the pool waits for its threads, which wait for these
    measured = []
    for subject in chosen:
        known = plan.records(subject)
        measured.append(Measured(subject, tuple(known[digest] for digest in plan.digests)))
    return measured


class _Workers:
    """The running processes, so that all of them end when one fails or the user interrupts."""

    def __init__(self, plan: Plan, progress: Callable[[str], None]) -> None:
        self._plan = plan
        self._progress = progress
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._slots: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(plan.jobs):
            self._slots.put(slot)

    def measure(self, subject: Subject) -> None:
        """Runs a worker for what is missing of a subject."""
        missing = self._plan.missing(subject)
        if not missing:
            return
        slot = self._slots.get()
        first = slot * self._plan.threads
        task = Task(
            selection=subject.selection,
            subject=subject.name,
            images=missing,
            store=str(self._plan.file(subject)),
            extra=self._plan.extra,
            cores=tuple(_cores()[first : first + self._plan.threads]),
        )
        try:
            self._follow(subject, task)
        finally:
            self._slots.put(slot)

    def _follow(self, subject: Subject, task: Task) -> None:
        threads = str(self._plan.threads)
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, threads)}
        with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
            with self._lock:
                if self._stopped:
                    return
                process = subprocess.Popen(
                    [sys.executable, "-m", "qann_core.benchmark.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=environment,
                )
                self._running.add(process)
            assert process.stdin and process.stdout
            with process:
                process.stdin.write(task.to_json())
                process.stdin.close()
                for _ in process.stdout:
                    self._progress(subject.name)
            with self._lock:
                self._running.discard(process)
            errors.seek(0)
            complaint = errors.read().strip().splitlines()
        if process.returncode and not self._stopped:
            self.stop()
            reason = complaint[-1] if complaint else f"status {process.returncode}"
            raise QannError(f"The benchmark of {subject.name} failed: {reason}")

    def stop(self) -> None:
        """Ends all processes; none starts any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()


def _cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
