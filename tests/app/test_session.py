"""What visits keep in memory."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from app import session
from app.choice import OWN, Setting
from app.photos import Photo, on_disk
from app.session import Visit
from qann_core import ParameterError


@pytest.fixture
def few_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "KEPT_RESULTS", 1)
    monkeypatch.setattr(session, "_recent", session._RecentVisits())


def visit_with_own_photo(pixels: np.ndarray) -> Visit:
    visit = Visit()
    visit.bring(Photo("leaves", pixels))
    visit.noted = Setting(OWN, 50)
    return visit


def test_a_resting_visit_makes_the_same_result_again(few_results, pixels):
    one, other = visit_with_own_photo(pixels), visit_with_own_photo(pixels[:64, :80].copy())
    _, before = one.present()
    assert one.present()[1] is before
    other.present()
    assert one.result is None and one.noted == Setting(OWN, 50)
    photo, again = one.present()
    assert photo is one.own and again.data == before.data
    assert np.array_equal(again.restored, before.restored)


def test_visits_that_ended_are_not_kept(few_results, pixels):
    visit_with_own_photo(pixels[:64, :80].copy()).present()
    gc.collect()
    visit = visit_with_own_photo(pixels[:64, :80].copy())
    visit.present()
    assert visit.result is not None


def test_a_large_photo_is_worked_on_from_disk(pixels):
    large = np.tile(pixels, (6, 4, 1))
    visit = Visit()
    visit.bring(Photo("leaves", large))
    assert visit.own is not visit.own_large
    assert isinstance(visit.own_large.pixels, np.memmap)
    assert np.array_equal(visit.own_large.pixels, large)
    visit.noted = Setting(OWN, 20, large=True)
    photo, result = visit.present()
    assert photo is visit.own_large and result.restored.shape == large.shape
    visit.rest()
    assert visit.noted == Setting(OWN, 20, large=True)


def test_pixels_on_disk_cannot_be_changed(pixels):
    kept = on_disk(Photo("leaves", pixels)).pixels
    with pytest.raises(ValueError, match="read-only"):
        kept[0, 0, 0] = 1


def test_a_visit_that_is_not_used_is_forgotten(pixels, monkeypatch):
    visit = visit_with_own_photo(pixels[:64, :80].copy())
    visit.present()
    session.forget_unused()
    assert visit.own is not None
    monkeypatch.setattr(session, "KEEP_SECONDS", -1)
    with visit.alone():
        session.forget_unused()
        assert visit.own is not None, "an answer is being made"
    session.forget_unused()
    assert visit.own is None and visit.result is None


def test_an_answer_that_waits_too_long_says_so(monkeypatch):
    monkeypatch.setattr(session, "PATIENCE_SECONDS", 0.01)
    visit = Visit()
    with visit.alone(), pytest.raises(ParameterError, match="still being worked on"):
        visit.present()
    visit.present()
