"""The record of a batch: ``manifest.jsonl`` in the output folder, one line a file."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import IO, Any

from .store import Entry, Store

NAME = "manifest.jsonl"

_SECONDS = 10.0
"""On an object store, where nothing can be appended, the whole record is written so often, or
less often where that takes long."""


@dataclass(frozen=True, slots=True)
class Record:
    """One file's line.

    Attributes:
        path, output: of the source and of what was made of it, relative to their roots.
        stamp: of the source, see ``Entry``; with ``bytes_in`` it shows whether it has changed.
        options: digest of all that the output depends on beside the source.
        bytes_in, bytes_out: sizes of the source and of the output.
        width, height: of the image in pixels.
        bpp: bits per pixel of the .qann file.
        levels: its N.
        measures: quality of the decoded image, by the measure's name.
        seconds: that the worker took, reading and writing included.
        notices: short sentences on what was changed on the way.
        not_kept: names of metadata that the output does not hold.
        error: one sentence where nothing was made.
    """

    path: str
    output: str
    stamp: str
    options: str
    bytes_in: int
    bytes_out: int | None = None
    width: int | None = None
    height: int | None = None
    bpp: float | None = None
    levels: int | None = None
    measures: dict[str, float | None] | None = None
    seconds: float = 0.0
    notices: tuple[str, ...] = ()
    not_kept: tuple[str, ...] = ()
    error: str | None = None

    def to_line(self) -> str:
        """JSON, without the fields that say nothing; any file name survives it."""
        said = {key: value for key, value in asdict(self).items() if value not in (None, ())}
        return json.dumps(said) + "\n"

    @property
    def pixels(self) -> int:
        """Of the image, 0 where they are not known."""
        return (self.width or 0) * (self.height or 0)

    def failed(self, error: str) -> Record:
        """The same file's record where nothing was made of it."""
        return replace(self, error=error)

    def is_current(self, options: str, source: Entry, output: Entry | None) -> bool:
        """Whether the output is there and what a new run with these options would make."""
        return (
            self.error is None
            and output is not None
            and (self.options, self.bytes_in, self.stamp, self.bytes_out)
            == (options, source.size, source.stamp, output.size)
        )


_FIELDS = {field.name for field in fields(Record)}


class Manifest:
    """The lines written so far, and the file that takes more; one process alone writes it.

    Args:
        store: the output folder, which must be there.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: IO[str] | None = None
        self._due = 0.0
        lines = (store.read(NAME) or b"").splitlines()
        self.records = {r.path: r for line in lines if (r := _record(line)) is not None}

    def start(self, keep: dict[str, Record]) -> None:
        """Begins a run: the file holds the records to ``keep``, all others are dropped."""
        self.records = dict(keep)
        self._rewrite()
        if self._store.is_local:
            self._file = open(self._store.folder / NAME, "a", encoding="utf-8")  # noqa: SIM115

    def add(self, record: Record) -> None:
        """Writes one more line."""
        self.records[record.path] = record
        if self._file is not None:
            self._file.write(record.to_line())
            self._file.flush()
        elif time.monotonic() > self._due:
            self._rewrite()

    def close(self) -> None:
        """Ends a run."""
        if self._file is not None:
            self._file.close()
        else:
            self._rewrite()

    def _rewrite(self) -> None:
        began = time.monotonic()
        lines = "".join(record.to_line() for record in self.records.values())
        self._store.write(NAME, lines.encode())
        ended = time.monotonic()
        self._due = ended + max(_SECONDS, 20 * (ended - began))


def _record(line: bytes) -> Record | None:
    """The record in a line, or None where it was cut short or is of another version."""
    try:
        said: dict[str, Any] = json.loads(line)
        for name in ("notices", "not_kept"):
            said[name] = tuple(said.get(name, ()))
        return Record(**{key: value for key, value in said.items() if key in _FIELDS})
    except (ValueError, TypeError, AttributeError):
        return None
