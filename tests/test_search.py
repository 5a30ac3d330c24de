"""Targets of rate and quality: the best file there is, at a cost that is kept."""

from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qann_core import Codec, search
from qann_core.common.errors import ParameterError
from qann_core.common.limits import MAX_PIXELS
from qann_core.metrics import psnr
from qann_core.search import levels_for_bpp, levels_for_quality

LOW, HIGH = 16, 512
ALL = range(LOW, HIGH + 1)


class MadeUp:
    """A codec whose file length and quality are functions of N; it counts its work.

    The decoded image is N itself, and the measure looks the quality up.
    """

    min_levels, max_levels = LOW, HIGH

    def __init__(self, monkeypatch, length, quality, side=64):
        self.lengths = {n: max(1, int(length(n))) for n in ALL}
        self.qualities = {n: float(quality(n)) for n in ALL}
        self.packed, self.decoded = [], []
        self.pixels = np.zeros((side, side, 3), np.uint8)
        self.latents = SimpleNamespace(height=side, width=side, pixels=self.pixels)

        def measured(_, levels):
            return self.qualities[levels]

        for name, measure in search._MEASURES.items():
            monkeypatch.setitem(search._MEASURES, name, replace(measure, function=measured))

    def quantize(self, latents, levels, effort):
        return levels

    def unpack(self, data, max_pixels):
        assert max_pixels == MAX_PIXELS, "its own files are to be read whatever their size"
        return int.from_bytes(data[:2])

    def pack_integers(self, levels):
        self.packed.append(levels)
        return levels.to_bytes(2) + bytes(self.lengths[levels])

    def decode(self, levels):
        self.decoded.append(levels)
        return levels

    def for_quality(self, target, measure="psnr"):
        return levels_for_quality(self, self.latents, measure, target)[1]

    def for_bytes(self, n_bytes):
        bpp = 8 * n_bytes / self.pixels[..., 0].size
        data, levels = levels_for_bpp(self, self.latents, bpp)
        assert len(data) == self.lengths[levels] + 2
        return levels


def photo_like(monkeypatch, side=64):
    noise = np.random.default_rng(0).normal(size=HIGH + 1)
    return MadeUp(
        monkeypatch,
        lambda n: 3000 * n**0.6 + 20 * noise[n],
        lambda n: 6 * np.log2(n) + 0.01 * noise[n],
        side,
    )


def striped(monkeypatch, side=64):
    """Both leap with N; one N in 23 is far better than all around it."""
    random = np.random.default_rng(1)
    jumps, leaps = random.uniform(0, 8, HIGH + 1), random.uniform(0.5, 1.5, HIGH + 1)
    return MadeUp(
        monkeypatch,
        lambda n: 3000 * n**0.6 * leaps[n],
        lambda n: 15 + jumps[n] + (6 if n % 23 == 0 else 0),
        side,
    )


def smallest(codec, target):
    return min(codec.lengths[n] for n in ALL if codec.qualities[n] >= target)


@pytest.mark.parametrize("target", [24.5, 30.0, 37.1, 44.0, 53.9])
def test_photos_cost_about_twenty_tries(monkeypatch, target):
    codec = photo_like(monkeypatch)
    levels = codec.for_quality(target)
    assert codec.qualities[levels] >= target
    assert codec.lengths[levels] <= 1.01 * smallest(codec, target)
    assert len(codec.decoded) <= 25 and len(codec.packed) <= 20
    assert len(set(codec.decoded)) == len(codec.decoded)


@pytest.mark.parametrize("n_bytes", [17_000, 30_000, 60_000, 100_000, 126_000, 10**7])
def test_rates_of_photos(monkeypatch, n_bytes):
    codec = photo_like(monkeypatch)
    levels = codec.for_bytes(n_bytes)
    assert codec.lengths[levels] <= n_bytes
    best = max(n for n in ALL if codec.lengths[n] <= n_bytes)
    assert levels >= best - 2
    assert len(codec.packed) <= 25 and len(codec.decoded) <= 5


@pytest.mark.parametrize("target", [20.0, 22.0, 23.5, 26.0, 28.0, 28.8])
def test_the_smallest_file_where_quality_leaps(monkeypatch, target):
    codec = striped(monkeypatch)
    levels = codec.for_quality(target)
    assert codec.qualities[levels] >= target
    assert codec.lengths[levels] == smallest(codec, target)


@pytest.mark.parametrize("n_bytes", [12_000, 40_000, 90_000, 10**7])
def test_the_best_file_of_a_size_where_quality_leaps(monkeypatch, n_bytes):
    codec = striped(monkeypatch)
    levels = codec.for_bytes(n_bytes)
    fitting = [n for n in ALL if codec.lengths[n] + 2 <= n_bytes]
    assert codec.qualities[levels] == max(codec.qualities[n] for n in fitting)


def test_only_what_is_true_is_refused(monkeypatch):
    codec = striped(monkeypatch)
    best = max(codec.qualities.values())
    assert codec.qualities[codec.for_quality(best)] == best
    with pytest.raises(ParameterError, match=f"cannot be reached.*at most {best:.2f} dB"):
        codec.for_quality(best + 0.01)
    least = min(codec.lengths.values()) + 2
    assert codec.lengths[codec.for_bytes(least)] + 2 == least
    with pytest.raises(ParameterError, match="cannot be reached"):
        codec.for_bytes(least - 1)


def test_a_quality_just_above_the_last_is_looked_for_everywhere(monkeypatch):
    codec = photo_like(monkeypatch)
    codec.qualities[490] = max(codec.qualities.values()) + 0.2
    assert codec.for_quality(codec.qualities[490]) == 490
    before = len(codec.decoded)
    with pytest.raises(ParameterError, match="cannot be reached"):
        photo_like(monkeypatch).for_quality(80.0)
    assert len(codec.decoded) == before


def test_large_images_are_searched_less_and_a_refusal_says_so(monkeypatch):
    codec = striped(monkeypatch, side=1000)
    with pytest.raises(ParameterError, match=r"was not reached; \d+ of 497 values"):
        codec.for_quality(60.0)
    assert len(codec.decoded) <= 80


def test_flat_content(monkeypatch):
    """Every N gives the same; then the shortest file is wanted."""
    codec = MadeUp(monkeypatch, lambda n: 60 + n % 7, lambda n: 50.0)
    assert codec.lengths[codec.for_quality(45.0)] == 60
    exact = MadeUp(monkeypatch, lambda n: 60, lambda n: np.inf)
    assert exact.for_quality(99.0) in ALL


@pytest.mark.parametrize("target", [np.nan, np.inf, -np.inf, 0.0, -3.0])
def test_what_is_no_target_is_refused_before_any_work(monkeypatch, target):
    codec = photo_like(monkeypatch)
    for measure in ("psnr", "ssimulacra2"):
        with pytest.raises(ParameterError, match="must be a number above 0"):
            codec.for_quality(target, measure)
    with pytest.raises(ParameterError, match="must be a number above 0"):
        levels_for_bpp(codec, codec.latents, target)
    with pytest.raises(ParameterError, match="at most 100"):
        codec.for_quality(101.0, "ssimulacra2")
    assert codec.packed == codec.decoded == []


def test_ssimulacra2(monkeypatch):
    small = photo_like(monkeypatch)
    with pytest.raises(ParameterError, match="sides of"):
        small.for_quality(40.0, "ssimulacra2")
    codec = photo_like(monkeypatch, side=256)
    levels = codec.for_quality(40.0, "ssimulacra2")
    assert codec.qualities[levels] >= 40.0 > codec.qualities[levels - 4]


def test_effort_optimises_each_n_once(monkeypatch):
    codec, calls = striped(monkeypatch), []
    plain = codec.quantize
    codec.quantize = lambda latents, n, effort: calls.append(n) or plain(latents, n, effort)
    levels_for_quality(codec, codec.latents, "psnr", 26.0, effort=2)
    assert len(calls) == len(set(calls))


@pytest.mark.slow
def test_stripes_reach_what_a_few_levels_give(codec: Codec) -> None:
    codec = copy(codec)
    codec.min_levels, codec.max_levels = 16, 60
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 255
    latents = codec.encode(stripes)
    reached = {n: psnr(stripes, codec.decode(codec.quantize(latents, n))) for n in range(16, 61)}
    target = max(reached.values())
    data, _ = levels_for_quality(codec, latents, "psnr", target)
    assert psnr(stripes, codec.decode(codec.unpack(data))) >= target
    assert len(data) <= len(codec.pack(latents, max(reached, key=lambda n: reached[n])))
