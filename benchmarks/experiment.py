"""What the benchmarks over a folder share: their options and a clock."""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from qann_core.cli.evaluation import DEFAULT_LEVELS
from qann_core.models import DEFAULT_MODEL

_Result = TypeVar("_Result")


def folder_parser(doc: str, levels: Sequence[int] = DEFAULT_LEVELS) -> argparse.ArgumentParser:
    """A parser described by the first line of ``doc``, with a folder, --levels and --model."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", type=int, nargs="+", default=levels)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    return parser


def cpu_timed(function: Callable[..., _Result], *arguments: Any) -> tuple[_Result, float]:
    """What a call returns, and how many CPU seconds it took."""
    started = time.process_time()
    return function(*arguments), time.process_time() - started


def timed(function: Callable[..., _Result], *arguments: Any) -> tuple[_Result, float]:
    """What a call returns, and how many seconds passed: for work on several cores."""
    started = time.perf_counter()
    return function(*arguments), time.perf_counter() - started


def median_seconds(work: Callable[[], object], repeat: int) -> float:
    """Median wall time of ``repeat`` calls, after one that does not count."""
    work()
    return statistics.median(timed(work)[1] for _ in range(repeat))
