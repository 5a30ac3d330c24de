"""Puts the stored benchmark's tables into the texts that show them.

    python benchmarks/readme.py

README.md and the models' cards name the tables between markers; the figures are those of
assets/benchmarks/kodak.json, which ``make benchmark`` writes.
"""

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from qann_core.evaluation.results import Document
from qann_core.evaluation.tables import (
    SHORT_MEASURES,
    gains_table,
    levels_table,
    peers_table,
    unfinished,
)

ROOT = Path(__file__).resolve().parents[1]
TEXTS = (ROOT / "README.md", *sorted((ROOT / "assets" / "models").glob("*/MODEL_CARD.md")))


TABLES: dict[str, Callable[[Document], str]] = {
    "levels": partial(levels_table, measures=SHORT_MEASURES),
    "gains": gains_table,
    "peers": peers_table,
    "best-peers": partial(peers_table, smallest=True),
}
"""Tables that a text can hold, by the name in its markers, see ``fill_in``."""


def fill_in(text: str, document: Document, model: str | None = None) -> str:
    """The text with each table between ``<!-- NAME table -->`` and ``<!-- end -->`` made anew.

    Args:
        model: whose figures are shown, by default the main one's.
    """
    shown = {**document, "main": {**document["main"], **({"model": model} if model else {})}}

    def table(found: re.Match[str]) -> str:
        return f"{found[1]}\n{TABLES[found[2]](shown)}<!-- end -->"

    names = "|".join(sorted(TABLES, key=len, reverse=True))
    return re.sub(rf"(<!-- ({names}) table -->)\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main() -> None:
    """Rewrites the texts where their tables differ."""
    document = json.loads(
        (ROOT / "assets" / "benchmarks" / "kodak.json").read_text(encoding="utf-8")
    )
    if unfinished(document):
        sys.exit(f"The texts speak of all images; not finished: {'; '.join(unfinished(document))}")
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        model = path.parent.name if path.name == "MODEL_CARD.md" else None
        filled = fill_in(text, document, model)
        if filled != text:
            path.write_text(filled, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'changed' if filled != text else 'up to date'}")


if __name__ == "__main__":
    main()
