"""The ``qann`` command: compress, decompress, info, evaluate, train and export.

Bad input is one sentence on stderr and exit status 2. torch and diffusers take seconds to import,
so each is imported only by the command that needs it.
"""

import argparse
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from .. import __version__
from ..common.errors import ParameterError, QannError, is_out_of_memory, one_line
from .evaluation import add_evaluation
from .files import add_files
from .training import add_training


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 2 is a refusal, 1 that some files failed."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if "" in arguments:  # for Path, the current folder
            raise ParameterError("An argument is empty; is a variable of the shell not set?")
        options = _parser().parse_args(arguments)
        with _without_library_warnings():
            return options.run(options) or 0
    except QannError as error:
        return _refused(error)
    except OSError as error:
        return _refused(f"{error.filename or 'The output'}: {error.strerror or error}.")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _refused("There is not enough memory for this; use a smaller image.")
    except KeyboardInterrupt:
        print("qann: interrupted", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """Refuses wrong arguments as everything else is refused, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        raise ParameterError(f"{message}; see {self.prog} --help.")


def _refused(reason: object) -> int:
    """Says on one line why nothing was done; returns the exit status."""
    print(f"qann: {one_line(reason)}", file=sys.stderr)
    return 2


@contextmanager
def _without_library_warnings() -> Iterator[None]:
    """Keeps stderr for this program's own sentences."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="qann", description="A lossy image codec with a restoration network that knows N."
    )
    parser.add_argument("--version", action="version", version=f"qann {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_files, add_evaluation, add_training):
        add(commands)
    return parser
