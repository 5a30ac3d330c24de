"""The bundled photos and whose they are, from ``assets/examples/credits.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .photos import Photo, read_photo

EXAMPLES = Path(__file__).resolve().parent.parent / "assets" / "examples"


@dataclass(frozen=True)
class Credit:
    """One bundled photo: its file, what it shows, whose it is and how it may be used."""

    file: str
    title: str
    subject: str
    author: str
    licence: str
    source: str

    @property
    def name(self) -> str:
        """The file's name without extension."""
        return Path(self.file).stem

    @property
    def path(self) -> Path:
        """Where the file is."""
        return EXAMPLES / self.file


@cache
def credits() -> tuple[Credit, ...]:
    """All bundled photos, in the order of the gallery."""
    return tuple(
        Credit(**entry)
        for entry in json.loads((EXAMPLES / "credits.json").read_text(encoding="utf-8"))
    )


def credit_of(name: str) -> Credit:
    """The bundled photo of this name."""
    return next(credit for credit in credits() if credit.name == name)


def example_photo(name: str) -> Photo:
    """A bundled photo, ready for the codec."""
    photo = read_photo(credit_of(name).path, name)
    photo.key, photo.bundled = f"example {name}", True
    return photo
