"""The tab "Inside the codec" without a browser: the data of its stages, and what it keeps."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("gradio")

from app import compress, photos, session
from app.choice import Choice
from app.inside import anatomy as anatomy_module
from app.inside import drawings, layout, plates, prior, restoration, sensitivity, stages
from app.inside.anatomy import Anatomy, anatomy
from app.inside.subbands import SUBBANDS
from qann_core import Codec
from qann_core.bitstream import HEADER_BYTES
from qann_core.common.shapes import integer_range
from qann_core.metrics import psnr

LEVELS = 40


@pytest.fixture(scope="module")
def opened(photo: np.ndarray) -> Anatomy:
    return Anatomy(photos.Photo("facade", photo), LEVELS)


def visit_of(photo: np.ndarray) -> session.Visit:
    arrived = photos.Photo("facade", photo)
    return session.Visit(arrived, compress.compress_photo(arrived, LEVELS))


def test_subbands_are_the_planes_of_the_pyramid(opened):
    shapes = [band.shape for band in opened.latents.pyramid]
    assert [(s.band, s.channel) for s in SUBBANDS] == [
        (band, channel) for band, shape in enumerate(shapes) for channel in range(shape[1])
    ]
    assert len({s.name for s in SUBBANDS}) == 39


def test_nested_picture_has_each_subband_at_its_place(opened):
    bands = [
        np.stack([np.full(plane.shape, SUBBANDS.index(s)) for s, plane in of_band])
        for of_band in (
            [(s, band[0, s.channel].numpy()) for s in SUBBANDS if s.band == index]
            for index, band in enumerate(opened.latents.pyramid)
        )
    ]
    for colour in range(3):
        picture = stages.nested(bands, colour)
        height, width = picture.shape
        for index, subband in enumerate(SUBBANDS):
            if subband.colour == ("Y", "C1", "C2")[colour]:
                left, top, side = subband.box
                rows = slice(round(top * height), round((top + side) * height))
                columns = slice(round(left * width), round((left + side) * width))
                assert (picture[rows, columns] == index).all(), subband.name


def test_shares_add_up(opened):
    facts = [stages.subband_facts(opened, s) for s in SUBBANDS]
    assert sum(f.share_of_bytes for f in facts) == pytest.approx(1)
    assert sum(f.share_of_energy for f in facts) == pytest.approx(1)
    assert sum(opened.bytes_of.values()) == pytest.approx(len(opened.data) - HEADER_BYTES)
    assert sum(stages.colour_shares(opened)) == pytest.approx(1)
    for fact, subband in zip(facts, SUBBANDS, strict=True):
        assert fact.distinct_after == len(set(opened.integers(subband).ravel().tolist()))
        assert fact.distinct_after <= min(LEVELS, fact.distinct_before)
    low, high = integer_range(LEVELS)
    before, after = stages.distinct_values(opened)
    assert after <= high - low + 1 < before


def test_offsets_lie_within_their_bins_and_are_guessed(opened):
    clearest = stages.clearest_subband(opened)
    found = stages.offsets(opened, clearest)
    assert np.abs(found.guess).max() <= 0.7501
    inside = np.abs(found.reduced) < integer_range(LEVELS)[1]
    assert np.abs(found.true[inside]).max() <= 0.581
    assert 0.1 < found.correlation <= 1
    assert found.true[found.crop].shape == tuple(min(stages.CROP, n) for n in found.true.shape)


def test_correlation_is_numpys():
    a, b = np.random.default_rng(1).normal(size=(2, 9, 7))
    assert stages.correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert stages.correlation(a, np.ones_like(a)) == 0


def test_largest_box_is_found():
    values = np.zeros((30, 50))
    values[12:16, 31:35] = 1
    assert stages.box_of_largest(values, 4) == (slice(12, 16), slice(31, 35))
    assert stages.box_of_largest(values[:3, :2], 8) == (slice(0, 3), slice(0, 2))


def test_plain_bytes_hold_every_integer():
    planes = [np.array([[0, -1, 1], [-2, 127, -127]]), np.array([[200, -300]])]
    data = np.frombuffer(stages.plain_bytes(planes), np.uint8)
    assert data[:8].tolist() == [0, 1, 2, 3, 254, 253, 255, 255]
    assert data[8:].view("<u2").tolist() == [400, 599]


def test_entropy_and_packings(opened):
    assert stages.zero_order_bits([np.array([[0, 1, 2, 3]]), np.zeros((2, 2), int)]) == 8
    found = {p.name: p for p in stages.packings(opened)}
    own = [p for p in found.values() if p.kind == "codec"]
    assert [p.n_bytes for p in own] == [len(opened.data) - HEADER_BYTES]
    assert {name.split(",")[0] for name in found} >= {"zlib", "zstd", "bz2", "lzma", "Brotli"}


def test_both_coders_bytes_add_up_to_their_payloads(opened):
    found = prior.coders(opened)
    assert found.brotli.shape == found.prior.shape == (len(opened.quantized.bands),)
    for n_bytes, parts, coder in (
        (found.n_brotli, found.brotli, "brotli"),
        (found.n_prior, found.prior, "prior"),
    ):
        data = opened.codec.pack(opened.latents, LEVELS, coder=coder)
        assert n_bytes == len(data) - HEADER_BYTES
        assert parts.sum() == pytest.approx(n_bytes)
    html = prior.learned_prior(opened)
    assert f"% {'fewer' if found.saved >= 0 else 'more'}</b>" in html


def test_prior_is_shown_where_it_expected_best(opened):
    found = prior.clearest_expectation(opened)
    assert found.subband.colour == "Y" and found.subband.scale in (4, 8)
    assert found.scale.shape == found.magnitude.shape == opened.true(found.subband).shape
    assert found.scale.min() > 0 and 0 < found.agreement <= 1
    assert np.array_equal(found.magnitude, np.abs(opened.integers(found.subband)))


def test_a_model_without_prior_has_one_sentence(opened, monkeypatch):
    monkeypatch.setattr(Codec, "has_prior", False)
    html = prior.learned_prior(opened)
    assert "no learned prior" in html and "<img" not in html


def test_errors_by_scale_add_up_to_the_pictures_error(opened):
    before, after = stages.errors_by_band(opened)
    for parts, picture in (
        (before, opened.picture_quantized),
        (after, opened.picture_restored),
    ):
        error = np.square(picture.astype(float) - opened.photo.pixels).mean()
        assert parts.sum() == pytest.approx(error, rel=0.15)


def test_pictures_are_the_librarys_and_a_wrong_n_costs(opened):
    codec = Codec.load()
    restored = codec.decode(opened.quantized)
    assert np.abs(opened.picture_restored.astype(int) - restored).max() <= 1
    truth = opened.psnr_assuming(LEVELS)
    assert truth == psnr(opened.photo.pixels, opened.picture_restored)
    assert opened.psnr_assuming(LEVELS // 2) < truth - 0.1
    assumed = stages.assumptions(LEVELS)
    assert assumed[0] == 16 and assumed[-1] == 4 * LEVELS and LEVELS in assumed
    assert stages.assumptions(400)[0] == 100 and stages.assumptions(400)[-1] == 512


def test_attention_is_a_distribution_within_a_window(opened):
    weights = stages.attention(opened, 3, 5)
    assert weights.shape == opened.quantized.bands[0].shape[1:]
    assert weights.sum() == pytest.approx(1, abs=1e-4)
    lit = drawings.attention_pixels(opened.photo.pixels, weights)
    assert lit.shape == opened.photo.pixels.shape


def parts_of(opened: Anatomy) -> dict[str, str]:
    """The HTML of every part of the article."""
    parts = {
        part.name: part.render(opened, *([] if part.first is None else [part.first]))
        for part in layout.PARTS
    }
    return parts | {"assumed": restoration.assumed(opened, 2 * opened.levels)}


def test_every_part_shows_a_picture_with_words_for_it(opened):
    for name, html in parts_of(opened).items():
        images = re.findall(r"<img [^>]*>", html)
        assert images or name == "sensitivity"
        assert all(re.search(r'alt="[^"]{8,}"', image) for image in images)
        assert all(re.search(r"width='\d+' height='\d+'", image) for image in images)
        assert "nan" not in re.sub(r"base64,[^']*", "", html)


def test_alternatives_are_at_most_as_long(opened):
    assert len(opened.alternatives) == 4
    assert all(each.n_bytes <= len(opened.data) for each in opened.alternatives)
    assert all(each.psnr == psnr(opened.photo.pixels, each.pixels) for each in opened.alternatives)


def test_flat_photo_has_an_article_too():
    flat = Anatomy(photos.Photo("flat", np.full((24, 40, 3), 127, np.uint8)), 16)
    for name, html in parts_of(flat).items():
        assert "<img" in html or name == "sensitivity"


def test_the_toy_has_busy_rows_of_sixteen_pixels(opened):
    rows = stages.pixel_rows(opened.photo.pixels)
    assert len(rows) == 5 and {len(row) for row in rows} == {16}
    assert all(0 <= value <= 255 for row in rows for value in row)
    spread = [np.std(row) for row in rows]
    assert spread == sorted(spread, reverse=True) and spread[0] > 20
    narrow = stages.pixel_rows(np.full((3, 7, 3), 9, np.uint8))
    assert narrow == [[9] * 16] * 3


def test_gains_become_the_step_of_each_band(monkeypatch):
    gains = np.ones((4, 3, 3))
    gains[0, 0, 0] = 2.0
    monkeypatch.setattr(sensitivity, "_tuning", lambda codec: (gains, 0.9 * gains))
    html = sensitivity.sensitivity(Anatomy(photos.Photo("flat", np.zeros((24, 40, 3))), 101))
    cells = re.findall(r"<td style='[^']*'>(\d+)</td>", html)
    assert len(cells) == 36 and cells[:2] == ["35", "71"]  # 7067 / 100 grey levels
    assert html.count("<img") == 2 and "grey levels" in html


def test_a_model_without_gains_has_one_sentence(opened, monkeypatch):
    monkeypatch.setattr(sensitivity, "_tuning", lambda codec: None)
    html = sensitivity.sensitivity(opened)
    assert "squared error" in html and "<img" not in html


def test_hot_picture_escapes_its_words():
    html = plates.picture(np.zeros((2, 2, 3), np.uint8), "title", 'a "quoted" <b>')
    assert "&quot;quoted&quot; &lt;b&gt;" in html


def test_a_visit_keeps_one_anatomy_until_photo_or_n_changes(photo):
    one = visit_of(photo)
    first = anatomy(one, LEVELS)
    assert anatomy(one, LEVELS) is first
    assert anatomy(one, LEVELS + 1) is not first
    one.forget()
    assert one.anatomy is None


def test_an_anatomy_takes_what_the_result_of_its_n_has(photo):
    one = visit_of(photo)
    taken = anatomy(one, LEVELS)
    assert taken.picture_quantized is one.result.quantized
    assert taken.picture_restored is one.result.restored
    assert taken.data is one.result.data
    assert taken.n_bytes == 2 * photo.nbytes + len(one.result.data)
    alone = Anatomy(one.photo, LEVELS)
    assert alone.data == taken.data
    assert np.abs(alone.picture_quantized.astype(int) - taken.picture_quantized).max() <= 1
    assert np.abs(alone.picture_restored.astype(int) - taken.picture_restored).max() <= 1
    taken.clear()
    assert anatomy(one, LEVELS).picture_restored is one.result.restored
    assert anatomy(one, LEVELS + 1).n_bytes == 0


def test_the_bytes_that_brotli_explains_are_brotlis(photo):
    arrived = photos.Photo("facade", photo, choice=Choice(coder="prior"))
    one = session.Visit(arrived, compress.compress_photo(arrived, LEVELS))
    taken = anatomy(one, LEVELS)
    assert taken.picture_restored is one.result.restored
    assert taken.data == taken.codec.pack(taken.latents, LEVELS, coder="brotli")
    assert taken.data != one.result.data


def test_all_anatomies_together_are_bounded(photo, monkeypatch):
    visits = [visit_of(photo) for _ in range(3)]
    opened = [anatomy(one, LEVELS) for one in visits]
    for each in opened:
        assert each.restored and each.n_bytes > 0
    monkeypatch.setattr(anatomy_module, "ROOM_BYTES", int(2.5 * opened[0].n_bytes))
    anatomy(visits[1], LEVELS)
    assert opened[0].n_bytes == 0 and opened[1].n_bytes and opened[2].n_bytes
    assert opened[0].restored  # made again when asked for
