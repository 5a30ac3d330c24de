"""The tab "Rate-distortion" without a browser: stored points, charts, comparisons, sweeps."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("gradio")

from app import compress, photos, session
from app.curves import drawings, events, measures, sweeps
from app.curves.measures import MEASURES
from qann_core.evaluation.points import QUANTIZED, RESTORED, Point, curve_of, kind_label

SIZE = 100 * 200


def point(codec: str, setting: int, bpp: float, psnr: float) -> Point:
    values = {"psnr": psnr, "ssim": 0.9 + psnr / 1000}
    return Point(curve_of(codec), setting, bpp, round(bpp * SIZE / 8), values)


@pytest.fixture
def points() -> list[Point]:
    """QANN needs half of what JPEG does; one of JPEG's points lies far to the right."""
    own = [point(RESTORED, n, n / 100, 30 + 3 * i) for i, n in enumerate((25, 50, 100))]
    jpeg = [point("jpeg", q, q / 50, 30 + 3 * i) for i, q in enumerate((25, 50, 100))]
    return [*jpeg, *own]


@pytest.fixture
def small(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo[:48, :64])


def visit_of(pixels: np.ndarray, name: str = "leaves") -> session.Visit:
    photo = photos.Photo(name, pixels)
    return session.Visit(photo, compress.compress_photo(photo, 40))


def test_a_curve_is_read_between_its_points(points):
    found = measures.curves(points, MEASURES["PSNR"])
    assert measures.quality_at(found[RESTORED], 0.375) == pytest.approx(31.5)
    assert measures.quality_at(found[RESTORED], 2.0) is None
    assert measures.levels_at(found[RESTORED], 0.5) == 50
    assert measures.levels_at(found[RESTORED], 0.707) == 71
    assert measures.levels_at(found[RESTORED], 0.1) is None
    assert "SSIMULACRA 2" in MEASURES
    assert measures.curves(points, MEASURES["SSIMULACRA 2"]) == {}


def test_half_the_rate_is_a_bd_rate_of_minus_fifty(points):
    for measure in (MEASURES["PSNR"], MEASURES["SSIM"]):
        (found,) = measures.comparisons(points, measure, 0.75)
        assert found.codec == "jpeg"
        assert found.bd_rate == pytest.approx(-50, abs=0.01)
        text = measure.text(found.value)
        assert text == {"PSNR": "31.50 dB", "SSIM": "0.9315"}[measure.label]


def test_chart_names_every_point_and_where_n_stands(points):
    present = [point(QUANTIZED, 50, 0.5, 31.0), point(RESTORED, 50, 0.5, 33.0)]
    html = drawings.chart(points, MEASURES["PSNR"], present, 50)
    labels = re.findall(r'<button[^>]*aria-label="([^"]*)"', html)
    assert len(labels) == 5  # the sixth lies beyond QANN's rates
    assert "QANN restored, N 50\n1,250 B".replace(",250", "\u202f250") in "\n".join(labels)
    assert any(label.startswith("JPEG, quality 25\n") for label in labels)
    chosen = re.findall(r"data-levels='(\d+)'", html)
    assert chosen.count("50") == 2 and chosen.count("100") == 2  # JPEG's: the same bytes
    assert len(re.findall("<i class='rd-ring' style", html)) == 2
    assert html.count("tabindex='0'") == 1
    assert re.search(r'aria-label="Chart of PSNR .*JPEG .*dB.*Arrow keys', html)
    assert "style='left:" in html and "nan" not in html


def test_chart_without_points_says_so():
    html = drawings.chart([], MEASURES["MS-SSIM"], [point(RESTORED, 50, 0.5, 33.0)], 50)
    assert "No curves of this photo yet" in html and "<button" not in html


def test_sweep_stops_and_goes_on_where_it_was(small):
    one = visit_of(small)
    steps = events.compute(one, "PSNR")
    next(steps)
    next(steps)
    events.stop(one)
    *_, last = steps
    kept = len(one.photo.points)
    assert "Cancelled" in last[2] and 0 < kept < sweeps.n_points()
    settings = [(p.kind, p.setting) for p in one.photo.points]
    following = next(sweeps.sweep(one.photo))
    assert (following.kind, following.setting) not in settings


def test_a_sweep_is_shown_by_the_measure_that_is_chosen_meanwhile(small):
    one = visit_of(small)
    steps = events.compute(one, "PSNR")
    next(steps)
    next(steps)
    events.draw(one, "SSIM")
    events.stop(one)
    *_, last = steps
    assert "SSIM at" in last[1] and "PSNR at" not in last[1]


def test_quantizers_are_a_family_of_curves_that_shares_the_codecs_points(small):
    one = visit_of(small)
    *_, last = events.compute(one, "PSNR", sweeps.QUANTIZERS)
    points = sweeps.points_of(one.photo, sweeps.QUANTIZERS)
    assert len(points) == len(one.photo.points) == sweeps.n_points(sweeps.QUANTIZERS)
    codecs = {p.kind for p in points}
    assert codecs == {QUANTIZED, RESTORED, "daq", "rq", "assumed-half", "assumed-double"}
    assert "Complete" in last[2] and kind_label("daq") in last[1]
    assert all(kind_label(codec) in last[0] for codec in codecs)
    shared = sweeps.points_of(one.photo, sweeps.CODECS)
    assert {p.kind for p in shared} == {QUANTIZED, RESTORED}
    assert next(sweeps.sweep(one.photo, sweeps.CODECS)).kind == "jpeg"
