"""``qann evaluate`` as a user runs it."""

import csv
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from test_metrics import photo_like

from qann_core.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of one name, one that is none, and a companion file of macOS."""
    for number, name in enumerate(("a", "b")):
        path = tmp_path / "Pictures" / name / "x.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(photo_like(64, 72, number)).save(path)
    (tmp_path / "Pictures" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "Pictures" / "._x.png").write_bytes(b"companion")
    return tmp_path / "Pictures"


def evaluate(folder: Path, *more: object) -> int:
    fixed = ["evaluate", folder, "--model", "fast", "--levels", 32, 128, "--workers", 1]
    return main([str(argument) for argument in (*fixed, *more)])


def test_writes_all_results_and_names_what_is_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert evaluate(folder, "--peers", "jpeg", "--metrics", "psnr", "ms_ssim", "--out", out) == 0
    printed = capsys.readouterr()
    assert "Means over 2 of 3 images (MS-SSIM: 0)." in printed.out
    assert "cut.jpg" in printed.err and "._x.png" not in printed.err
    document = json.loads((out / "pictures.json").read_text(encoding="utf-8"))
    assert (document["images"], document["found"]) == (2, 3)
    assert {row["image"] for row in document["per_image"]} == {"a/x.png", "b/x.png"}
    assert document["mean"][0]["ms_ssim_restored"] is None
    assert document["bd_rate"]["ms_ssim"] == {"jpeg": None}
    assert "fewer than two points" in document["no_bd_rate"]["ms_ssim"]["jpeg"]
    rows = list(csv.DictReader((out / "pictures.csv").open(encoding="utf-8")))
    assert {row["codec"] for row in rows} == {"qann", "jpeg"}
    report = (out / "pictures.md").read_text(encoding="utf-8")
    for chart in re.findall(r"!\[.*?\]\((.*?)\)", report):
        assert (out / chart).read_bytes()[:4] == b"\x89PNG"
    kept = {file.name: file.read_bytes() for file in (out / "pictures-points").iterdir()}
    assert set(kept) == {"fast.jsonl", "jpeg.jsonl"}
    assert evaluate(folder, "--out", out) == 2
    assert "--force" in capsys.readouterr().err
    again = ("--peers", "jpeg", "--metrics", "psnr", "ms_ssim", "--out", out, "--force")
    assert evaluate(folder, *again) == 0
    assert kept == {file.name: file.read_bytes() for file in (out / "pictures-points").iterdir()}


@pytest.mark.slow
def test_cost_is_measured_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    assert evaluate(folder, "--peers", "jpeg", "--metrics", "psnr", "--cost", "--json", out) == 0
    own, jpeg = json.loads(out.read_text(encoding="utf-8"))["cost"]
    assert own["kilo_macs"] > 10 and jpeg["kilo_macs"] is None
    assert own["encode_seconds"] > jpeg["encode_seconds"] > 0
    assert 10 < jpeg["idle_megabytes"] <= jpeg["peak_megabytes"] < own["peak_megabytes"]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--peers", "bpg"), "no codec 'bpg'"),
        (("--levels", 3), "3"),
        (("--workers", 0), "at least 1"),
        (("--model", "none"), "none"),
        (("--coder", "lzma"), "no coder 'lzma'"),
    ],
)
def test_bad_options(
    folder: Path, more: tuple[object, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, *more) == 2
    assert complaint in capsys.readouterr().err
