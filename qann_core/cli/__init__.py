"""The ``qann`` command: compress, decompress, info, evaluate, benchmark, train and export.

Bad input is one sentence on stderr and exit status 2. torch and diffusers take seconds to import,
so each is imported only by the command that needs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import QannError
from .benchmark import add_benchmark
from .evaluation import add_evaluation
from .files import add_files
from .training import add_training


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except QannError as error:
        print(f"qann: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"qann: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("qann: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qann", description="A lossy image codec with a restoration network that knows N."
    )
    parser.add_argument("--version", action="version", version=f"qann {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_files, add_evaluation, add_benchmark, add_training):
        add(commands)
    return parser
