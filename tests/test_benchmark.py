"""The benchmark as a user runs it, and what it rests on: the store, deltas, tables, charts."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import is_color_like
from PIL import Image
from test_metrics import photo_like

from qann_core import QannError
from qann_core.benchmark import store
from qann_core.benchmark.figures import draw
from qann_core.benchmark.published import (
    PublishedCurve,
    benchmarks_folder,
    image_set,
    published_for,
    read_published,
)
from qann_core.benchmark.results import Benchmark, to_csv, to_document
from qann_core.benchmark.runner import Measured, make_plan, run
from qann_core.benchmark.store import Record, append_record, pixels_digest, read_records
from qann_core.benchmark.subjects import VARIANTS, Curve, Selection, Subject, subjects
from qann_core.benchmark.tables import (
    deltas_table,
    fill_in,
    gains_table,
    levels_table,
    models_table,
    report,
    tensor_table,
)
from qann_core.benchmark.worker import Task
from qann_core.charts import MEASURES, comparison, style
from qann_core.cli import benchmark as cli_benchmark
from qann_core.cli import main
from qann_core.deltas import bd_rate
from qann_core.evaluation.peers import peer_by_name
from qann_core.models import coder_names, resolve_folder
from qann_core.rate_distortion import Point

LEVELS = (32, 96, 256)
CODERS = coder_names(resolve_folder("default"))
SELECTION = Selection(("jpeg", "jpeg2000"), ("default",), LEVELS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small pictures, in the folder "pair"."""
    folder = tmp_path_factory.mktemp("images") / "pair"
    folder.mkdir()
    for seed, size in enumerate(((168, 176), (176, 168))):
        Image.fromarray(photo_like(*size, seed)).save(folder / f"{seed}.png")
    return folder


def test_the_command_offers_every_variant() -> None:
    assert tuple(VARIANTS) == cli_benchmark._VARIANTS


def benchmark(folder: Path, out: Path, *more: object) -> int:
    fixed = ["benchmark", "--images", folder, "--out", out, "--levels", *LEVELS]
    return main([str(argument) for argument in (*fixed, *more)])


@pytest.fixture(scope="module")
def out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one whole run."""
    out = tmp_path_factory.mktemp("out")
    peers = ("--peers", "jpeg", "jpeg2000")
    assert benchmark(folder, out, *peers, "--variants", "daq", "--effort", 1) == 0
    return out


def lines(out: Path) -> dict[str, list[str]]:
    return {
        path.stem: path.read_text(encoding="utf-8").splitlines()
        for path in (out / "pair-points").iterdir()
    }


def test_writes_all_results(out: Path) -> None:
    document = json.loads((out / "pair.json").read_text(encoding="utf-8"))
    assert document["images"] == 2 and document["threads"] == 1
    assert [row["levels"] for row in document["mean"]] == list(LEVELS)
    assert all(row["psnr_restored"] != row["psnr_quantized"] for row in document["mean"])
    assert {row["image"] for row in document["per_image"]} == {"0.png", "1.png"}
    assert list(document["bd_rate_psnr"]) == ["jpeg", "jpeg2000"]
    names = [curve["name"] for curve in document["curves"]]
    assert names[:2] == ["restored", "quantized"] and names[-3:] == ["jpeg", "jpeg2000", "daq"]
    for curve in document["curves"]:
        assert 10 < curve["idle_megabytes"] <= curve["peak_megabytes"]
        assert curve["encode_seconds"] > 0 and curve["decode_seconds"] > 0
    assert "libjpeg-turbo" in document["curves"][-3]["software"]
    for ending in ("psnr", "ssim", "ms-ssim", "quantizers"):
        assert (out / f"pair-{ending}.png").read_bytes()[:4] == b"\x89PNG"
    text = (out / "pair.md").read_text(encoding="utf-8")
    assert levels_table(document) in text and deltas_table(document) in text


def test_the_document_is_the_mean_of_the_points(out: Path) -> None:
    document = json.loads((out / "pair.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader((out / "pair.csv").open()))
    qualities = peer_by_name("jpeg").sweep
    own = [c["name"] for c in document["curves"] if c["group"] == "codec"]
    assert own == ["restored", "quantized", "restored-prior", "effort-1", "effort-1-prior"]
    points = [len(curve["points"]) for curve in document["curves"]]
    assert sum(points) > (len(own) + 1) * len(LEVELS) + 2 * len(qualities)
    assert len(rows) == 2 * sum(points)
    for curve in document["curves"]:
        for point in curve["points"]:
            mine = [
                row for row in rows
                if (row["codec"], int(row["setting"])) == (curve["name"], point["setting"])
            ]  # fmt: skip
            assert len(mine) == 2
            for measure in ("bpp", "psnr", "ssim", "ms_ssim"):
                mean = sum(float(row[measure]) for row in mine) / 2
                assert point[measure] == pytest.approx(mean, abs=2e-5)


def test_results_are_kept_and_nothing_is_measured_twice(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lines(out)
    assert benchmark(folder, out, "--peers", "jpeg", "jpeg2000") == 2
    assert "pair.json exists already; use --force" in capsys.readouterr().err
    assert benchmark(folder, out, "--peers", "jpeg", "--variants", "--force") == 0
    assert lines(out) == before
    assert list(json.loads((out / "pair.json").read_text(encoding="utf-8"))["bd_rate_psnr"]) == [
        "jpeg"
    ]


def test_an_interrupted_run_goes_on(folder: Path, tmp_path: Path) -> None:
    images = sorted(folder.iterdir())
    selection = replace(SELECTION, models=())
    jobs = min(2, os.cpu_count() or 1)
    plan = make_plan(images, selection, tmp_path, (), jobs, 1)
    first = run(plan, lambda _: None)
    file = tmp_path / "jpeg.jsonl"
    kept, cut = file.read_text(encoding="utf-8").splitlines()
    file.write_text(kept + "\n" + cut[:40], encoding="utf-8")
    done: list[str] = []
    second = run(plan, done.append)
    assert done == ["jpeg"], "one image of one codec was missing"
    assert [m.records[1].points for m in second] == [m.records[1].points for m in first]
    wider = replace(plan, selection=replace(selection, peers=("jpeg", "jpeg444")))
    run(wider, done.append)
    assert done[1:] == ["jpeg444", "jpeg444"]


def test_a_worker_that_fails(folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "gone.png"
    image.write_bytes((folder / "0.png").read_bytes())
    plan = make_plan([image], replace(SELECTION, models=()), tmp_path / "points", (), 1, 1)
    image.unlink()
    with pytest.raises(QannError, match=r"benchmark of jpeg failed.*gone\.png"):
        run(plan, lambda _: None)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--jobs", 5000), "need 5000 cores"),
        (("--threads", 0), "at least one of each"),
        (("--peers", "bpg"), "no codec 'bpg'"),
        (("--peers", "jpeg", "jpeg"), "jpeg is asked for twice"),
        (("--model", "none"), "no model 'none'"),
        (("--metrics", "ssim"), "must include psnr"),
    ],
)
def test_bad_options(
    folder: Path, tmp_path: Path, more: tuple[object, ...], complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert benchmark(folder, tmp_path, *more) == 2
    assert complaint in capsys.readouterr().err


def test_task_survives_its_journey() -> None:
    task = Task(SELECTION, "jpeg", ("a.png",), "jpeg.jsonl", ("ssimulacra2",), (0, 1))
    assert Task.from_json(task.to_json()) == task


def test_subjects_are_told_apart() -> None:
    chosen = subjects(SELECTION)
    assert chosen[0].name == f"default-{coder_names(resolve_folder('default'))[0]}"
    assert len({s.identity for s in chosen}) == len({s.name for s in chosen}) == len(chosen)
    finer = subjects(replace(SELECTION, levels=(*LEVELS, 400)))
    assert finer[0].identity != chosen[0].identity, "other points, another subject"
    assert finer[-1].identity == chosen[-1].identity, "the peers do not depend on N"
    for subject in chosen:
        alone = {s.name: s.identity for s in subjects(subject.selection)}
        assert alone[subject.name] == subject.identity and len(alone) <= len(CODERS)
    more = subjects(replace(SELECTION, variants=VARIANTS))
    assert [s.name for s in more[len(chosen) :]] == list(VARIANTS)
    names = [curve.name for subject in more for curve in subject.curves.values()]
    assert len(set(names)) == len(names) and names[:2] == ["restored", "quantized"]


POINT = Point("jpeg", 50, 1.0, 100, 30.0, 0.9, 0.95)


class TestStore:
    record = Record("me", 1, "d0", (POINT,), 40.0, 50.0)

    def test_only_lines_that_fit_count(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "jpeg.jsonl"
        append_record(path, self.record)
        for other in (
            replace(self.record, identity="another", digest="d1"),
            replace(self.record, threads=2, digest="d2"),
        ):
            append_record(path, other)
        path.write_text(path.read_text(encoding="utf-8") + '{"identity": "me", "thr')
        append_record(path, replace(self.record, digest="d3"))
        assert list(read_records(path, "me", 1, ())) == ["d0", "d3"]
        assert read_records(path, "me", 1, ())["d0"] == self.record
        assert read_records(path, "me", 1, ("ssimulacra2",)) == {}

    def test_the_latest_counts_and_infinity_survives(self, tmp_path: Path) -> None:
        path = tmp_path / "jpeg.jsonl"
        append_record(path, self.record)
        lossless = replace(self.record, points=(replace(POINT, psnr=float("inf")),))
        append_record(path, lossless)
        assert read_records(path, "me", 1, ()) == {"d0": lossless}

    def test_absent(self, tmp_path: Path) -> None:
        assert read_records(tmp_path / "none.jsonl", "me", 1, ()) == {}

    def test_digest_tells_shapes_apart(self) -> None:
        flat = np.zeros((4, 6, 3), np.uint8)
        assert pixels_digest(flat) == pixels_digest(flat.copy())
        assert pixels_digest(flat) != pixels_digest(flat.reshape(6, 4, 3))
        assert len(store.pixels_digest(flat)) == 16


def made_up(published: bool = True) -> Benchmark:
    """Exact curves: "restored" needs half of JPEG's bytes on one image, a quarter on the other."""
    measured = []
    for codec, shares in (("restored", (0.5, 0.25)), ("quantized", (0.5, 0.5)), ("jpeg", (1, 1))):
        records = []
        for image, share in enumerate(shares):
            points = tuple(
                Point(codec, n, share * bpp, round(1000 * share * bpp), 26.0 + 3 * n,
                      1 - 10 ** -(n + 1), None, None, 0.5, 0.25)
                for n, bpp in enumerate((0.2, 0.4, 0.8, 1.6))
            )  # fmt: skip
            records.append(Record("", 1, str(image), points, 40.0, 50.0 + image))
        group = "peer" if codec == "jpeg" else "codec"
        curve = Curve(codec, codec.upper(), group)  # type: ignore[arg-type]
        subject = Subject(
            codec, {codec: curve}, f"lib{codec} 1", "", SELECTION, lambda: lambda *_: ()
        )
        measured.append(Measured(subject, tuple(records)))
    other = PublishedCurve("VTM", (0.1, 0.2, 0.4, 0.8), {"psnr": (26.0, 29.0, 32.0, 35.0)}, False)
    source = read_published({"source": "a paper", "curves": []})
    return Benchmark(
        tuple(measured), ("a.png", "b.png"), ("psnr", "ssim"), 1,
        replace(source, curves=(other,)) if published else None,
    )  # fmt: skip


class TestResults:
    def test_deltas_of_the_whole_set_and_image_by_image(self) -> None:
        document = to_document(made_up())
        rows = {(row["curve"], row["anchor"]): row for row in document["deltas"]}
        for measure in ("psnr", "ssim"):
            delta = rows["restored", "jpeg"][measure]
            assert delta["bd_rate"] == pytest.approx(-62.5), "mean rates: 0.375 of JPEG's"
            assert delta["per_image"] == {
                "images": 2, "mean": -62.5, "least": -75.0, "most": -50.0, "deviation": 12.5,
            }  # fmt: skip
        # In dB, SSIM's points lie 10 apart for each doubling of the rate.
        assert rows["restored", "jpeg"]["ssim"]["bd_quality"] == pytest.approx(14.15, abs=0.01)
        assert rows["restored", "VTM"]["psnr"]["bd_rate"] == pytest.approx(-25)
        assert "ssim" not in rows["restored", "VTM"]
        assert document["bd_rate_psnr"] == {"jpeg": -62.5}
        assert document["bd_rate_psnr_restoration"] == pytest.approx(-25)
        assert document["curves"][0]["peak_megabytes"] == 51

    def test_tables(self) -> None:
        document = to_document(made_up())
        table = deltas_table(document)
        assert "| JPEG " in table and "-62.5 / -62.5" in table
        assert "*VTM*" in table and "-25.0 / n/a" in table
        assert len({len(line) for line in table.splitlines()}) == 1
        text = report(document, "made-up", ["made-up-psnr.png"])
        assert "published by a paper" in text and "![" in text
        assert "published" not in report(to_document(made_up(published=False)), "x", [])
        assert "+0.00" in gains_table(document)

    def test_tables_of_several_models(self) -> None:
        benchmark = made_up()
        extra = []
        for name, settings in (("old", slice(None)), ("tensor", slice(0, 2))):
            for one in benchmark.measured[:2]:
                kind = f"{one.subject.name}-{name}"
                records = [
                    replace(r, points=tuple(replace(p, codec=kind) for p in r.points[settings]))
                    for r in one.records
                ]
                curves = {kind: Curve(kind, f"QANN ({name})", "variant")}
                subject = replace(one.subject, name=kind, curves=curves)
                extra.append(Measured(subject, tuple(records)))
        document = to_document(replace(benchmark, measured=(*benchmark.measured, *extra)))
        models, tensors = models_table(document).splitlines(), tensor_table(document).splitlines()
        assert "this model: bpp" in models[0] and "old: bpp" in models[0]
        assert len(models) == 2 + 4 and "tensor" not in models[0]
        assert len(tensors) == 2 + 2 and tensors[2].split()[1] == "tensor"

    def test_lossless_points_are_valid_json(self) -> None:
        benchmark = made_up()
        one = benchmark.measured[2]
        records = tuple(
            replace(r, points=(*r.points, Point("jpeg", 9, 9.0, 9, float("inf"), 1.0)))
            for r in one.records
        )
        lossless = replace(
            benchmark, measured=(*benchmark.measured[:2], replace(one, records=records))
        )
        document = to_document(lossless)
        assert json.loads(json.dumps(document, allow_nan=False)) is not None
        assert document["curves"][2]["points"][-1]["psnr"] is None
        assert document["bd_rate_psnr"] == {"jpeg": -62.5}
        assert "inf" in to_csv(lossless)
        draw(document, None)

    def test_fill_in(self) -> None:
        document = to_document(made_up())
        text = "a\n<!-- gains table -->\nold\n<!-- end -->\nb\n<!-- other table -->\n<!-- end -->\n"
        filled = fill_in(text, document)
        assert gains_table(document) in filled and "old" not in filled
        assert filled.startswith("a\n") and filled.endswith(
            "b\n<!-- other table -->\n<!-- end -->\n"
        )
        assert fill_in(filled, document) == filled


class TestPublished:
    def test_only_for_the_same_pictures(self) -> None:
        assert image_set(["a", "b"]) == image_set(["b", "a"]) != image_set(["a"])
        assert published_for(["a", "b"]) is None

    def test_stored_curves(self) -> None:
        values = json.loads(
            (benchmarks_folder() / "kodak-published.json").read_text(encoding="utf-8")
        )
        published = read_published(values)
        assert "CompressAI" in published.source
        curves = {curve.label: curve for curve in published.curves}
        assert {"BPG 4:4:4", "HEVC HM", "VVC VTM", "AV1"} <= set(curves)
        for curve in published.curves:
            for column in (curve.bpp, *curve.measures.values()):
                assert list(column) == sorted(column) and len(column) == len(curve.bpp)
        bpg, vtm = curves["BPG 4:4:4"], curves["VVC VTM"]
        rate = bd_rate(bpg.bpp, bpg.measures["psnr"], vtm.bpp, vtm.measures["psnr"])
        assert rate is not None and -30 < rate < -15, "VVC is known to need about a fifth less"


class TestCharts:
    def test_comparison_draws_every_curve(self) -> None:
        figures = draw(to_document(made_up()), made_up().published)
        assert list(figures) == ["psnr", "ssim"]
        for measure, drawn in (("psnr", 4), ("ssim", 3)):
            (axes,) = figures[measure].axes
            assert len(axes.lines) == drawn
            assert axes.get_xlabel() == "bits per pixel"
        assert figures["psnr"].axes[0].get_ylabel() == "PSNR, dB, RGB"

    def test_variants_have_a_chart_of_their_own(self) -> None:
        document = to_document(made_up())
        document["curves"][2]["group"] = "variant"
        figures = draw(document, None)
        assert len(figures["quantizers"].axes[0].lines) == 3
        assert len(figures["psnr"].axes[0].lines) == 2

    def test_nothing_in_range(self) -> None:
        figure = comparison({"jpeg": ("JPEG", [(2.0, 30.0)])}, (), "PSNR", (0.1, 1.0))
        assert figure.axes[0].get_xlim() == (0, 1.0)

    def test_every_codec_has_a_style(self) -> None:
        assert style("jpeg").label == "JPEG"
        unknown = style("restored-rans", "QANN restored, rans coder")
        assert unknown == style("restored-rans", "QANN restored, rans coder")
        assert is_color_like(unknown.colour) and unknown.line == "-"
        assert style("quantized-rans").line == "--"
        assert list(MEASURES) == ["PSNR", "SSIM", "MS-SSIM"]
