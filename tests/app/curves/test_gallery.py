"""The bundled photos' rate-distortion points: stored, complete, true."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("gradio")

from app import choice, compress, session
from app.curves import events, gallery, sweeps
from app.examples import credits, example_photo
from qann_core.evaluation.points import RESTORED

FAMILIES = (sweeps.CODECS, sweeps.QUANTIZERS)


def stored_names() -> list[str]:
    return list(json.loads(gallery.PATH.read_text(encoding="utf-8")))


def test_stored_file_is_small_and_of_bundled_photos():
    assert gallery.PATH.stat().st_size < 100_000
    assert set(stored_names()) <= {credit.name for credit in credits()}


def test_stored_points_are_complete():
    for name in stored_names():
        photo = example_photo(name)
        gallery.take_stored(photo)
        kinds = {peer.name for peer in sweeps.shown_peers()}
        if gallery.is_current(name):
            kinds |= set(sweeps.settings_by_codec(sweeps.CODECS))
        for family in FAMILIES:
            for kind, settings in sweeps.settings_by_codec(family).items():
                found = [p.setting for p in photo.points if p.kind == kind]
                assert sorted(found) == sorted(settings) or (not found and kind not in kinds)
        assert all(set(p.values) == set(sweeps.MEASURED) for p in photo.points)
        before = len(photo.points)
        gallery.take_stored(photo)
        assert len(photo.points) == before


def test_points_of_another_model_or_choice_are_left_out(monkeypatch):
    monkeypatch.setattr(gallery, "is_current", lambda name: True)
    photo = example_photo(stored_names()[0])
    photo.use(choice.Choice(effort=1))
    gallery.take_stored(photo)
    assert {p.kind for p in photo.points} == {peer.name for peer in sweeps.shown_peers()}
    monkeypatch.setattr(gallery, "is_current", lambda name: False)
    photo = example_photo(stored_names()[0])
    gallery.take_stored(photo)
    assert RESTORED not in {p.kind for p in photo.points}


def test_other_codecs_curves_are_there_at_once():
    photo = example_photo(stored_names()[0])
    result = compress.compress_photo(photo, 54)
    chart, _, status, *_ = events.draw(session.Visit(photo, result), "SSIMULACRA 2")
    assert chart.count("<polyline") >= len(sweeps.shown_peers())
    assert "So far:" in status or "Complete:" in status
