"""Where a batch reads and writes: a folder, or an object store that fsspec knows (``s3://...``)."""

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..common.errors import ParameterError
from ..common.files import visible_files, write_bytes_atomically

_LEFT_OVER = re.compile(r"\.[0-9a-f]{16}\.tmp")
"""What ``write_bytes_atomically`` leaves where its process is killed in the middle."""

_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated")
"""Names, in the listings of fsspec's file systems, of what changes when a file does."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says of one file: its size in bytes and what changes when its content does
    (the time of modification, or the tag of an object store)."""

    size: int
    stamp: str


class Store:
    """A tree of files under one root, whose paths are relative and have forward slashes.

    Args:
        address: a folder, or a URL of a file system that fsspec knows and that is installed.

    Raises:
        ParameterError: when the URL is of no such file system.
    """

    def __init__(self, address: str | Path) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        self.address = str(address)
        try:
            self._files, self._root = fsspec.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ParameterError(f"{self.address} cannot be opened: {reason}") from error
        self.is_local = isinstance(self._files, LocalFileSystem)

    def __str__(self) -> str:
        return self.address

    @property
    def folder(self) -> Path:
        """The root of a local store."""
        return Path(self._root)

    def exists(self) -> bool:
        """Whether the root is a folder that holds, or may hold, files."""
        return bool(self._files.isdir(self._root))

    def list(self, wanted: Callable[[str], bool]) -> dict[str, Entry]:
        """The files whose names, without folders, are ``wanted``, by path, in order.

        Hidden files and folders (also macOS's companions, ``._*``) are left out; links to files
        are followed, links to folders are not.
        """
        found = self._list_local(wanted) if self.is_local else self._list_remote(wanted)
        return dict(sorted(found.items()))

    def _list_local(self, wanted: Callable[[str], bool]) -> dict[str, Entry]:
        found = {}
        for path in visible_files(self._root, wanted):
            try:
                facts = os.stat(path)
            except OSError:  # a link to nothing: the worker says so when it opens it
                found[self._relative(path)] = Entry(0, "")
                continue
            if stat.S_ISREG(facts.st_mode):
                found[self._relative(path)] = Entry(facts.st_size, str(facts.st_mtime_ns))
        return found

    def _list_remote(self, wanted: Callable[[str], bool]) -> dict[str, Entry]:
        found = {}
        listing: dict[str, Any] = self._files.find(self._root, detail=True)
        for path, facts in listing.items():
            relative = self._relative(path)
            parts = relative.split("/")
            if wanted(parts[-1]) and not any(part.startswith(".") for part in parts):
                stamp = next(
                    (str(facts[key]) for key in (*_STAMPS, "created") if facts.get(key)), ""
                )
                found[relative] = Entry(int(facts["size"] or 0), stamp)
        return found

    def _relative(self, path: str) -> str:
        return path[len(self._root) :].replace(os.sep, "/").lstrip("/")

    def _full(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def open(self, path: str) -> BinaryIO:
        """A file to read from; it can be sought in."""
        if self.is_local:
            return open(self._full(path), "rb")
        return cast(BinaryIO, self._files.open(self._full(path), "rb"))

    def read(self, path: str) -> bytes | None:
        """A file's content, or None where there is no such file."""
        try:
            return bytes(self._files.cat_file(self._full(path)))
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Writes a file, and the folders it needs, such that it is there as a whole or not at all.

        A file of that name is replaced. On an object store a file appears when it is whole.
        """
        full = self._full(path)
        if self.is_local:
            Path(full).parent.mkdir(parents=True, exist_ok=True)
            write_bytes_atomically(full, data, force=True)
        else:
            self._files.pipe_file(full, data)

    def prepare(self) -> None:
        """Makes the root, and clears away what a killed run left half-written."""
        self._files.makedirs(self._root, exist_ok=True)
        if self.is_local:
            for folder, _, names in os.walk(self._root):
                for name in filter(_LEFT_OVER.fullmatch, names):
                    Path(folder, name).unlink(missing_ok=True)
