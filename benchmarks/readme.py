"""Puts the stored benchmark's tables into the texts that show them.

    python benchmarks/readme.py

README.md and the models' cards name the tables between markers; the figures are those of
assets/benchmarks/kodak.json, which ``make benchmark`` writes.
"""

import json
from pathlib import Path

from qann_core.evaluation.tables import fill_in

ROOT = Path(__file__).resolve().parents[1]
TEXTS = (ROOT / "README.md", *sorted((ROOT / "assets" / "models").glob("*/MODEL_CARD.md")))


def main() -> None:
    """Rewrites the texts where their tables differ."""
    document = json.loads(
        (ROOT / "assets" / "benchmarks" / "kodak.json").read_text(encoding="utf-8")
    )
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        model = path.parent.name if path.name == "MODEL_CARD.md" else None
        filled = fill_in(text, document, model)
        if filled != text:
            path.write_text(filled, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'changed' if filled != text else 'up to date'}")


if __name__ == "__main__":
    main()
