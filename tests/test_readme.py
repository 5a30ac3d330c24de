"""README's figures are those of the evaluation stored beside the weights, and its metadata fits."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_table_matches_the_stored_evaluation() -> None:
    stored = json.loads((ROOT / "assets" / "benchmarks" / "kodak.json").read_text())
    assert stored["images"] == 24
    for row in stored["mean"]:
        cells = (row["levels"], f"{row['bpp']:.3f}", f"{row['psnr_quantized']:.2f}",
                 f"{row['psnr_restored']:.2f}")  # fmt: skip
        line = r"\|\s*" + r"\s*\|\s*".join(re.escape(str(cell)) for cell in cells)
        assert re.search(line, README), cells
    for peer, percent in stored["bd_rate_psnr"].items():
        assert re.search(rf"\| {peer}\s*\|[^|]*\|\s*{re.escape(f'{percent:+.1f}')} \|", README), (
            peer
        )


def test_restoration_helps_every_image_at_every_n() -> None:
    stored = json.loads((ROOT / "assets" / "benchmarks" / "kodak.json").read_text())
    rows = stored["per_image"]
    assert len(rows) == 24 * len(stored["mean"])
    assert all(row["psnr_restored"] > row["psnr_quantized"] for row in rows)


def test_the_space_installs_the_gradio_it_names() -> None:
    version = re.search(r"^sdk_version: (\S+)$", README, re.MULTILINE)
    assert version is not None
    requirements = (ROOT / "requirements.txt").read_text()
    assert f"gradio[mcp]=={version[1]}\n" in requirements
    assert re.search(r"^torch==[\d.]+$", requirements, re.MULTILINE)
