"""The document, its tables and charts, from made-up curves whose deltas are known."""

import csv
import io
import json
import math
from dataclasses import dataclass

import pytest
from matplotlib.colors import is_color_like

from benchmarks.readme import TABLES, fill_in
from qann_core import ParameterError
from qann_core.evaluation.charts import draw, kind_style, style
from qann_core.evaluation.deltas import bd_rate
from qann_core.evaluation.measures import MEASURES, check_measures
from qann_core.evaluation.points import QANN, QUANTIZED, RESTORED, Curve, Point, labels
from qann_core.evaluation.published import NOTHING, benchmarks_folder, image_set, published_for
from qann_core.evaluation.results import to_csv, to_document
from qann_core.evaluation.runner import Evaluation, LeftOut
from qann_core.evaluation.tables import counted, deltas_table, report

RATES = (0.2, 0.4, 0.8, 1.6)
OWN, PLAIN, JPEG = (
    Curve(QANN, RESTORED, "brotli", "m"),
    Curve(QANN, QUANTIZED, "brotli", "m"),
    Curve("jpeg"),
)


@dataclass(frozen=True)
class Named:
    """As much of a subject as results need."""

    curves: tuple[Curve, ...]
    settings: tuple[int, ...] = (0, 1, 2, 3)
    software: str = "lib 1"

    @property
    def identities(self) -> dict[Curve, str]:
        return dict.fromkeys(self.curves, "")


def points(curve: Curve, share: float) -> list[Point]:
    """A curve that needs this share of the bytes."""
    return [
        Point(curve, n, share * bpp, round(1000 * share * bpp),
              {"psnr": 26.0 + 3 * n, "ssim": 1 - 10 ** -(n + 1)})
        for n, bpp in enumerate(RATES)
    ]  # fmt: skip


def made_up(**more: list[Point]) -> Evaluation:
    """ "restored" needs half of JPEG's bytes on one image, a quarter on the other."""
    per_image = {
        name: [*points(OWN, share), *points(PLAIN, 0.5), *points(JPEG, 1.0)]
        for name, share in (("a/x.png", 0.5), ("b/x.png", 0.25))
    }
    return Evaluation(
        3, {name: name for name in per_image}, (Named((OWN, PLAIN)), Named((JPEG,))),
        ("psnr", "ssim"), {**per_image, **more}, (LeftOut("bad.jpg", "", "It is damaged."),),
    )  # fmt: skip


def test_deltas_of_the_whole_set_and_image_by_image() -> None:
    document = to_document(made_up())
    rows = {(row["curve"], row["anchor"]): row for row in document["deltas"]}
    for measure in ("psnr", "ssim"):
        delta = rows[OWN.name, "jpeg"][measure]
        assert delta["bd_rate"] == pytest.approx(-62.5), "mean rates: 0.375 of JPEG's"
        assert delta["spread"] == {
            "images": 2, "mean": -62.5, "least": -75.0, "most": -50.0, "deviation": 12.5,
        }  # fmt: skip
        assert document["bd_rate"][measure] == {"jpeg": -62.5}
    # In dB, SSIM's points lie 10 apart for each doubling of the rate.
    assert rows[OWN.name, "jpeg"]["ssim"]["bd_quality"] == pytest.approx(14.15, abs=0.01)
    assert rows[OWN.name, PLAIN.name]["psnr"]["bd_rate"] == pytest.approx(-25)
    assert document["bd_rate_psnr"] == {"jpeg": -62.5}
    assert document["images"] == 2 and document["found"] == 3


def test_rows_are_means_and_name_relative_paths() -> None:
    document = to_document(made_up())
    assert {row["image"] for row in document["per_image"]} == {"a/x.png", "b/x.png"}
    row = document["mean"][1]
    assert (row["levels"], row["bpp"], row["n_bytes"]) == (1, pytest.approx(0.15), 150)
    assert row["psnr_quantized"] == row["psnr_restored"] == 29.0
    assert document["left_out"] == [{"image": "bad.jpg", "subject": "", "reason": "It is damaged."}]


def without(kind: str, value: float | None) -> list[Point]:
    """An image's points, of which a curve has another last PSNR."""
    curves = [*points(OWN, 0.01), *points(PLAIN, 0.01), *points(JPEG, 1.0)]
    return [
        Point(p.curve, p.setting, p.bpp, p.n_bytes, {**p.values, "psnr": value})
        if p.kind == kind and p.setting == 3 else p
        for p in curves
    ]  # fmt: skip


@pytest.mark.parametrize("value", [math.inf, None])
@pytest.mark.parametrize("kind", ["restored", "jpeg"])
def test_an_image_without_a_finite_measure_is_left_out(kind: str, value: float | None) -> None:
    document = to_document(made_up(black=without(kind, value)))
    assert document["bd_rate"]["psnr"]["jpeg"] == pytest.approx(-62.5), "as without it"
    assert document["bd_rate"]["ssim"]["jpeg"] < -70, "SSIM counts"
    assert document["images"] == 3
    assert document["counts"] == {"psnr": 2 if kind == "restored" else 3, "ssim": 3}
    (reason,) = [one["reason"] for one in document["left_out"] if one["image"] == "black"]
    assert ("infinite" if value else "too small") in reason
    assert json.loads(json.dumps(document, allow_nan=False))
    assert ("PSNR: 2" in counted(document)) == (kind == "restored")


def test_an_image_that_a_peer_refused_counts_for_the_others() -> None:
    own = [*points(OWN, 0.01), *points(PLAIN, 0.01)]
    document = to_document(made_up(wide=own))
    assert document["images"] == 3 and document["bd_rate_psnr"]["jpeg"] == pytest.approx(-62.5)
    assert "not finished: JPEG: 2 images only" in report(document, "set", ())


def test_no_delta_has_a_reason() -> None:
    evaluation = made_up()
    far = {
        name: [
            Point(p.curve, p.setting, p.bpp, p.n_bytes, {**p.values, "psnr": 90.0 + p.setting})
            if p.curve == JPEG else p
            for p in of_image
        ]
        for name, of_image in evaluation.points.items()
    }  # fmt: skip
    document = to_document(made_up(**far))
    assert document["bd_rate"]["psnr"] == {"jpeg": None}
    assert "range of quality" in document["no_bd_rate"]["psnr"]["jpeg"]
    assert "n/a" in TABLES["peers"](document)


def test_nothing_measured() -> None:
    empty = Evaluation(1, {}, (Named((OWN, PLAIN)),), ("psnr",), {}, ())
    document = to_document(empty)
    assert document["images"] == 0 and document["mean"][0]["bpp"] is None
    assert all(isinstance(table(document), str) for table in TABLES.values())
    assert draw(document, NOTHING)["psnr"] is not None


def test_csv_has_a_line_a_point() -> None:
    evaluation = made_up(black=without("jpeg", math.inf))
    rows = list(csv.DictReader(io.StringIO(to_csv(evaluation.points, evaluation.measures))))
    assert len(rows) == 3 * 12 and rows[0]["image"] == "a/x.png"
    assert rows[0]["variant"] == "restored" and rows[0]["model"] == "m"
    assert "inf" in {row["psnr"] for row in rows}


def test_tables_and_report() -> None:
    document = to_document(made_up())
    assert "-62.5" in TABLES["peers"](document) and "JPEG" in TABLES["peers"](document)
    for table in (*TABLES.values(), deltas_table):
        assert len({len(line) for line in table(document).splitlines()}) == 1
    text = report(document, "pair", ["pair-psnr.png"])
    assert "2 of 3 images" in text and "![" in text and "It is damaged." in text
    marked = "a\n<!-- gains table -->\nold\n<!-- end -->\nb\n<!-- other table -->\n<!-- end -->\n"
    filled = fill_in(marked, document)
    assert TABLES["gains"](document) in filled and "old" not in filled
    assert filled.endswith("b\n<!-- other table -->\n<!-- end -->\n")
    assert fill_in(filled, document) == filled


def test_labels_say_what_sets_curves_apart() -> None:
    other = Curve(QANN, RESTORED, "prior", "m", 8)
    assert labels([OWN, JPEG]) == {OWN: "QANN restored", JPEG: "JPEG"}
    assert labels([OWN, other])[other] == "QANN restored, prior, effort 8"
    third = Curve(QANN, RESTORED, "brotli", "n")
    assert labels([OWN, third])[third] == "QANN restored, n"


def test_charts_draw_every_curve() -> None:
    vtm = {"bpp": [0.1, 0.2, 0.4, 0.8], "psnr": [26.0, 29.0, 32.0, 35.0], "runnable": False}
    published = {"source": "a paper", "curves": [{"label": "VTM", **vtm}]}
    figures = draw(to_document(made_up()), published)
    assert list(figures) == ["psnr", "ssim"]
    for measure, drawn in (("psnr", 4), ("ssim", 3)):
        (axes,) = figures[measure].axes
        assert len(axes.lines) == drawn and axes.get_xlabel() == "bits per pixel"
    assert figures["psnr"].axes[0].get_ylabel() == "PSNR, dB, RGB"
    low, high = figures["psnr"].axes[0].get_xlim()
    assert low == 0 and 0.6 < high < 1.6, "this codec's own rates"


def test_other_quantizers_have_a_chart_of_their_own() -> None:
    daq = Curve(QANN, "daq", "brotli", "m")
    evaluation = made_up()
    several = {name: [*of, *points(daq, 2.0)] for name, of in evaluation.points.items()}
    subjects = (*evaluation.subjects, Named((daq,)))
    figures = draw(to_document(Evaluation(**{**vars(evaluation), "points": several, "subjects": subjects})), NOTHING)  # fmt: skip  # noqa: E501
    assert len(figures["quantizers"].axes[0].lines) == 3
    assert len(figures["psnr"].axes[0].lines) == 3, "and are not on the others"


def test_styles() -> None:
    assert is_color_like(kind_style("unknown").colour)
    prior = style(Curve(QANN, RESTORED, "prior", "m"), "m")
    assert (prior.colour, prior.line) == (style(OWN, "m").colour, "-.")
    assert style(OWN, "other").colour != style(OWN, "m").colour


class TestMeasures:
    def test_unknown_and_unavailable(self, monkeypatch) -> None:
        assert check_measures(["psnr", "psnr"]) == ("psnr",)
        with pytest.raises(ParameterError, match="choose from psnr"):
            check_measures(["vmaf"])
        monkeypatch.setenv("PATH", "")
        with pytest.raises(ParameterError, match="libjxl"):
            check_measures(["butteraugli"])

    def test_more_is_better_on_every_scale(self) -> None:
        for name, (worse, better) in {"psnr": (20, 30), "ssim": (0.5, 0.9), "butteraugli": (4, 1)}.items():  # fmt: skip  # noqa: E501
            assert MEASURES[name].scale(worse) < MEASURES[name].scale(better)


class TestPublished:
    def test_only_for_the_same_pictures(self) -> None:
        assert image_set(["a", "b"]) == image_set(["b", "a"]) != image_set(["a"])
        assert published_for(["a", "b"]) == NOTHING

    def test_stored_curves(self) -> None:
        file = benchmarks_folder() / "kodak-published.json"
        published = json.loads(file.read_text(encoding="utf-8"))
        curves = {curve["label"]: curve for curve in published["curves"]}
        assert {"BPG 4:4:4", "HEVC HM", "VVC VTM", "AV1"} <= set(curves)
        bpg, vtm = curves["BPG 4:4:4"], curves["VVC VTM"]
        rate = bd_rate((bpg["bpp"], bpg["psnr"]), (vtm["bpp"], vtm["psnr"]))
        assert rate is not None and -30 < rate < -15, "VVC is known to need about a fifth less"
