"""A batch from its plan to its summary."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ..common.errors import ParameterError
from .manifest import NAME, Manifest, Record
from .pools import WORKERS_A_GPU, LocalPool, Lost, Pool, RayPool, results, workers_and_threads
from .store import Entry, Store
from .tasks import Job, Task, Work, digest


@dataclass
class Summary:
    """What a batch did.

    Attributes:
        files: how many there are; ``current`` of them were done by an earlier run.
        done: how many were done now; ``failed`` names the others, with a sentence each.
        bytes_in, bytes_out, pixels: of those that were done now.
        notices: what was changed on the way, and in how many files.
        not_kept: names of metadata that some outputs do not hold.
    """

    files: int
    current: int
    done: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    notices: Counter[str] = field(default_factory=Counter)
    not_kept: set[str] = field(default_factory=set)

    def add(self, record: Record) -> None:
        """Counts one more file."""
        if record.error is not None:
            self.failed.append((record.path, record.error))
            return
        self.done += 1
        self.bytes_in += record.bytes_in
        self.bytes_out += record.bytes_out or 0
        self.pixels += record.pixels
        self.notices.update(record.notices)
        self.not_kept.update(record.not_kept)


def run_batch(
    task: Task,
    source: Store,
    target: Store,
    workers: int | None = None,
    ray: str | None = None,
    force: bool = False,
    progress: Callable[[Record | None, int], object] | None = None,
    make_pool: Callable[[Work], Pool] | None = None,
) -> Summary:
    """Does what is missing or changed of a whole tree, and records it in ``manifest.jsonl``.

    A file is left as it is where the record of an earlier run says that its size, its time of
    modification and all options are the same, and its output has the size that it had.

    Args:
        workers: processes of this machine; by default as many as fill its cores.
        ray: address of a Ray cluster, or "auto", which is used instead.
        force: write into a folder that is not empty and has no manifest.
        progress: called with the number of files to do, then with each file's record.
        make_pool: makes another pool than these.

    Raises:
        ParameterError: when the source is not there, holds nothing of that kind, or the target
            may not be written to.
        QannError: when the workers cannot start.
    """
    task.check()
    files, there = _checked_files(task, source, target, force)
    target.prepare()
    manifest, outputs = Manifest(target), task.outputs(list(files))
    options, jobs = digest(task), []
    for path, entry in files.items():
        record = manifest.records.get(path)
        if record is None or not record.is_current(options, entry, there.get(outputs[path])):
            jobs.append(Job(path, outputs[path], entry))
    planned = {job.path for job in jobs}
    manifest.start({path: r for path, r in manifest.records.items() if path not in planned})
    summary = Summary(len(files), len(files) - len(jobs))
    report = progress or (lambda record, total: None)
    report(None, len(jobs))
    workers, threads = workers_and_threads(len(jobs), workers, task.device)
    work = Work(task, source, target, options, 1 if ray is not None else threads)
    pool: Pool
    if make_pool is not None:
        pool = make_pool(work)
    elif ray is not None:
        pool = RayPool(work, ray, gpus=1 / WORKERS_A_GPU if task.device == "cuda" else 0.0)
    else:
        pool = LocalPool(work, workers)
    try:
        for job, outcome in results(pool, jobs):
            lost = isinstance(outcome, Lost)
            record = work.record(job).failed(outcome.sentence) if lost else outcome
            manifest.add(record)
            summary.add(record)
            report(record, len(jobs))
    finally:
        pool.close()
        manifest.close()
    summary.failed.sort()
    return summary


def _checked_files(
    task: Task, source: Store, target: Store, force: bool
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """The files to do and those that are in the target already."""
    if not source.exists():
        raise ParameterError(f"{source} is not a folder; name one that is there.")
    if source.is_local and target.is_local:
        if target.folder.exists() and not target.folder.is_dir():
            raise ParameterError(f"{target} is a file; name a folder to write to.")
        if target.folder.exists() and os.path.samefile(source.folder, target.folder):
            raise ParameterError(f"{target} is the source itself; name another folder.")
    files = source.list(task.wants)
    if not files:
        kind = "No images were" if task.verb == "compress" else "No .qann files were"
        raise ParameterError(f"{kind} found below {source}.")
    there = target.list(lambda _: True) if target.exists() else {}
    if there and NAME not in there and not force:
        raise ParameterError(
            f"{target} is not empty and has no {NAME} of an earlier run; name another folder, or "
            "use --force to write into it."
        )
    return files, there
