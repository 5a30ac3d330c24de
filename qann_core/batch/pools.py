"""Where the work is done: processes of this machine, or a Ray cluster.

A pool takes as many jobs at a time as its ``capacity`` says and gives each back with what it gave,
or with ``Lost`` where the process that had it came to an end. ``results`` keeps a pool busy. Jobs
and results are anything that can be sent to another process.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from ..common.errors import ParameterError, QannError
from ..common.signals import handled

ATTEMPTS = 3
"""How often a job is tried whose worker is lost: it may not have been the job's fault."""

WORKERS_A_GPU = 4
"""How many processes share a GPU."""

_JOBS_A_WORKER = 2
"""Jobs that Ray is given at a time, for each that it can run: none waits for the next."""


class Work(Protocol):
    """What workers do with jobs; it travels to each of them."""

    def prepare(self) -> None:
        """What comes first in each process, such as loading networks; may raise QannError."""

    def __call__(self, job: Any, /) -> Any:
        """Does one job."""


@dataclass(frozen=True)
class Lost:
    """The worker that had a job ended before it was done, for this reason."""

    reason: str

    @property
    def sentence(self) -> str:
        """The error of a job that is given up."""
        return (
            f"Its worker was lost {ATTEMPTS} times ({self.reason}); there may not be enough memory "
            "for it."
        )


class Pool(Protocol):
    """Does jobs elsewhere."""

    @property
    def capacity(self) -> int:
        """How many jobs it takes at a time."""

    def submit(self, job: Any) -> None:
        """Takes one more job."""

    def wait(self) -> list[tuple[Any, Any]]:
        """The jobs that are done, at least one, each with what it gave or with ``Lost``.

        Raises:
            QannError: when the workers cannot start, such as for want of the model.
        """

    def close(self) -> None:
        """Ends all work at once."""


def results(pool: Pool, jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each job with what it gave, or with ``Lost``, in the order in which they are done."""
    waiting, running = deque(jobs), 0
    losses: Counter[int] = Counter()
    while waiting or running:
        while waiting and running < pool.capacity:
            pool.submit(waiting.popleft())
            running += 1
        for job, outcome in pool.wait():
            running -= 1
            losses[id(job)] += isinstance(outcome, Lost)
            if isinstance(outcome, Lost) and losses[id(job)] < ATTEMPTS:
                waiting.append(job)  # last, so that it does not hold up the others
            else:
                yield job, outcome


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    connection: Connection


class LocalPool:
    """Processes of this machine, started as they are needed.

    Each has one job at a time, so that it is known which one a process had that was killed.
    """

    def __init__(self, work: Work, workers: int) -> None:
        self.capacity = workers
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Any]] = {}

    def submit(self, job: Any) -> None:
        worker = self._idle.pop() if self._idle else self._start()
        with contextlib.suppress(OSError):  # it was killed while idle: ``wait`` finds that out
            worker.connection.send(job)
        self._busy[worker.connection] = worker, job

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        # A new process inherits how Ctrl-C is handled, and has that while it imports.
        with handled(signal.SIG_IGN, signal.SIGINT):
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def wait(self) -> list[tuple[Any, Any]]:
        done: list[tuple[Any, Any]] = []
        for connection in wait(list(self._busy)):
            assert isinstance(connection, Connection)
            worker, job = self._busy.pop(connection)
            try:
                answer = connection.recv()
            except (EOFError, OSError):
                worker.process.join()
                connection.close()
                done.append((job, Lost(_ending(worker.process.exitcode or 0))))
                continue
            if isinstance(answer, QannError):
                raise answer
            self._idle.append(worker)
            done.append((job, answer))
        return done

    def close(self) -> None:
        """Ends all processes; what they have in work is given up."""
        busy = [worker for worker, _ in self._busy.values()]
        for worker in busy:
            worker.process.terminate()  # it removes the file that it may have half-written
        for worker in busy:
            worker.process.join(5)
        for worker in self._idle + busy:
            worker.process.kill()
            worker.connection.close()


def _ending(status: int) -> str:
    """How a process ended, in words."""
    try:
        return f"ended by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    except ValueError:
        return f"ended by signal {-status}"


def _serve(connection: Connection, work: Work) -> None:
    """A worker's main loop: receives jobs and sends results until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no half-written file
    try:
        work.prepare()
    except QannError as error:
        connection.send(error)
        return
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(work(connection.recv()))


class RayPool:
    """A Ray cluster, whose machines have this package and see the same files.

    Args:
        address: of the cluster, or "auto"; see ``ray.init``.
        gpus: share of a GPU that one job takes, beside one core.

    Raises:
        ParameterError: when Ray is not installed or the cluster cannot be reached.
    """

    def __init__(self, work: Work, address: str, gpus: float = 0.0) -> None:
        try:
            import ray
        except ImportError as error:
            raise ParameterError("Ray is not installed; pip install '.[ray]'.") from error
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ParameterError(f"No Ray cluster at {address}: {reason}") from error
        self._ray, self._work = ray, work
        self._run = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_run)
        self._jobs: dict[Any, Any] = {}

    @property
    def capacity(self) -> int:
        """It follows the cluster's size."""
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        return max(1, _JOBS_A_WORKER * cores)

    def submit(self, job: Any) -> None:
        self._jobs[self._run.remote(self._work, job)] = job

    def wait(self) -> list[tuple[Any, Any]]:
        ready, rest = self._ray.wait(list(self._jobs))
        if rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [(self._jobs.pop(reference), self._outcome(reference)) for reference in ready]

    def _outcome(self, reference: Any) -> Any:
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:
            raise  # a mistake of this program: everything else becomes a record
        except self._ray.exceptions.RayError as error:
            return Lost(type(error).__name__)
        if isinstance(answer, QannError):
            raise answer
        return answer

    def close(self) -> None:
        """Ends all work and leaves the cluster."""
        for reference in self._jobs:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def _run(work: Work, job: Any) -> Any:
    """One job on a Ray worker, which keeps the networks for the next."""
    try:
        work.prepare()
    except QannError as error:
        return error
    return work(job)


def cores() -> int:
    """Processor cores that this process may use, also where a container has a share of them."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(count or 1, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return count or 1


def workers_and_threads(
    jobs: int, workers: int | None = None, device: str = "cpu"
) -> tuple[int, int]:
    """How many processes, and with how many threads each, fill the cores and no more.

    One thread a worker where there are enough files: the networks' own threads wait for each
    other, and reading, packing and writing use one core whatever there are. A GPU has a few
    workers: while one computes there, others read, pack and write.
    """
    if workers is None:
        most = min(cores(), WORKERS_A_GPU) if device == "cuda" else cores()
        workers = max(1, min(most, jobs))
    return workers, max(1, cores() // workers)
