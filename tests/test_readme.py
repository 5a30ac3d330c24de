"""What README says of the codec is what was measured, and the Space's metadata fits."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.readme import TABLES, fill_in
from qann_core.evaluation.tables import deltas_table, levels_table, unfinished
from qann_core.models import DEFAULT_MODEL, model_by_id

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARDS = [ROOT / "assets" / "models" / DEFAULT_MODEL / "MODEL_CARD.md"]
"""Of the model that the stored evaluation is of; other cards keep the figures of their release."""
BENCHMARKS = ROOT / "assets" / "benchmarks"
AIM = "ssimulacra2"
"""The measure that the main model is trained for."""

Points = list[dict[str, str]]


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """The document of the stored evaluation."""
    document = json.loads((BENCHMARKS / "kodak.json").read_text(encoding="utf-8"))
    if "found" not in document:
        pytest.skip("the stored results are of an earlier program; `make benchmark`")
    return document


@pytest.fixture(scope="module")
def points(stored: dict[str, Any]) -> Points:
    """Every point of every image and codec."""
    with (BENCHMARKS / "kodak.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def of_main(stored: dict[str, Any], points: Points, variant: str) -> dict[tuple[str, int], dict]:
    """The main curve's points, or another variant's, by image and N."""
    main = {**stored["main"], "variant": variant}
    if variant not in ("restored", "quantized"):
        main |= {"coder": "brotli", "effort": 0}
    fields = {name: str(value) for name, value in main.items()}
    return {
        (point["image"], int(point["setting"])): point
        for point in points
        if all(point[name] == value for name, value in fields.items())
    }


def test_the_stored_evaluation_is_of_all_images(stored: dict[str, Any]) -> None:
    assert stored["images"] == stored["found"] == 24
    assert unfinished(stored) == []


@pytest.mark.parametrize("path", [ROOT / "README.md", *CARDS], ids=lambda path: path.parent.name)
def test_tables_are_those_of_the_stored_evaluation(path: Path, stored: dict[str, Any]) -> None:
    text = path.read_text(encoding="utf-8")
    assert any(f"<!-- {name} table -->" in text for name in TABLES)
    model = path.parent.name if path in CARDS else None
    assert fill_in(text, stored, model) == text, "run `python benchmarks/readme.py`"


def test_the_report_is_of_the_stored_evaluation(stored: dict[str, Any]) -> None:
    report = (BENCHMARKS / "kodak.md").read_text(encoding="utf-8")
    assert levels_table(stored) in report and deltas_table(stored) in report
    for chart in re.findall(r"!\[.*?\]\((.*?)\)", report):
        assert (BENCHMARKS / chart).read_bytes()[:4] == b"\x89PNG"


def test_readme_states_the_means(stored: dict[str, Any], points: Points) -> None:
    """Numbers of README, found without the code that printed them, from the points."""
    assert stored["images"] == stored["found"] == 24
    for n in (row["levels"] for row in stored["mean"]):
        mine = {
            variant: [p for (_, m), p in of_main(stored, points, variant).items() if m == n]
            for variant in ("quantized", "restored")
        }
        assert all(len(group) == 24 for group in mine.values())
        rate = np.mean([float(p["bpp"]) for p in mine["restored"]])
        psnr = [np.mean([float(p["psnr"]) for p in group]) for group in mine.values()]
        line = next(x for x in README.splitlines() if re.match(rf"\|\s*{n} \|", x))
        numbers = [float(cell) for cell in line.strip("| ").split("|")]
        for value, digits in ((rate, 3), (psnr[0], 2), (psnr[1], 2)):
            assert any(abs(number - value) <= 0.51 * 10**-digits for number in numbers), line


def test_bytes_and_rates_agree(points: Points) -> None:
    for point in points:
        rate = 8 * int(point["n_bytes"]) / (768 * 512)
        assert float(point["bpp"]) == pytest.approx(rate, abs=1e-5)


def test_jpeg_measures_as_published(points: Points) -> None:
    """JPEG at multiples of 5 lies where CompressAI's figures say: the metrics mean the same.

    Today's libjpeg-turbo decodes about 0.1 dB better than theirs did.
    """
    file = BENCHMARKS / "kodak-published.json"
    published = json.loads(file.read_text(encoding="utf-8"))["curves"][0]
    assert published["label"] == "JPEG"
    checked = 0
    for quality in range(5, 100, 5):
        mine = [p for p in points if (p["codec"], p["setting"]) == ("jpeg", str(quality))]
        for measure, tolerance in (("psnr", 0.15), ("ms_ssim", 0.005)) if mine else ():
            mean = np.mean([float(p[measure]) for p in mine])
            assert mean == pytest.approx(published[measure][quality // 5 - 1], abs=tolerance)
            checked += 1
    assert checked >= 10


def test_the_stored_evaluation_is_of_the_bundled_weights(stored: dict[str, Any]) -> None:
    for curve in (c for c in stored["curves"] if c["codec"] == "qann"):
        (model_id,) = re.findall(r"model ([0-9a-f]{8})", curve["software"])
        assert model_by_id(model_id).name == curve["model"]
    assert stored["main"]["model"] == "default"


def test_restoration_helps_every_image_at_every_n(stored: dict[str, Any]) -> None:
    rows = stored["per_image"]
    assert len(rows) == 24 * len(stored["mean"])
    assert all(row[f"{AIM}_restored"] > row[f"{AIM}_quantized"] for row in rows)


@pytest.mark.parametrize("wrong", ["assumed-half", "assumed-double"])
def test_the_true_n_beats_a_wrong_one(stored: dict[str, Any], points: Points, wrong: str) -> None:
    """At every N on the mean, at the same bytes."""
    true, assumed = (of_main(stored, points, variant) for variant in ("restored", wrong))
    if not assumed:
        pytest.skip("no wrong N was measured")
    assert assumed.keys() == true.keys()
    for key in true:
        assert assumed[key]["n_bytes"] == true[key]["n_bytes"]
    for row in stored["mean"]:
        at_n = [key for key in true if key[1] == row["levels"]]
        assert np.mean([float(true[k][AIM]) - float(assumed[k][AIM]) for k in at_n]) > 0


def test_the_space_installs_the_gradio_it_names() -> None:
    version = re.search(r"^sdk_version: (\S+)$", README, re.MULTILINE)
    assert version is not None
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"gradio[mcp]=={version[1]}\n" in requirements
    assert re.search(r"^torch==[\d.]+$", requirements, re.MULTILINE)
