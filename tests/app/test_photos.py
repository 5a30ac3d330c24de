"""Photos that visitors bring, and where their latents are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from app import choice, photos, session


def test_latents_pool_is_bounded_and_forgets(pixels):
    one = choice.codec_of().encode(pixels)
    size = sum(band.numel() * 4 for band in one.pyramid)
    pool = photos.LatentsPool(2 * size)
    for key in "abc":
        pool.get(key, pixels)
    assert pool.n_bytes == 2 * size
    pool.drop("c")
    assert pool.n_bytes == size


def test_own_photo_is_worked_on_at_a_megapixel_first():
    whole = photos.Photo("large", np.zeros((1200, 1500, 3), np.uint8))
    one = session.Visit()
    one.bring(whole)
    height, width, _ = one.photo_of(choice.Setting(choice.OWN, 40)).pixels.shape
    assert 0.9e6 < height * width <= 1e6
    large = one.photo_of(choice.Setting(choice.OWN, 40, large=True))
    assert np.array_equal(large.pixels, whole.pixels)


def test_large_photo_is_scaled_with_a_notice(tmp_path):
    path = tmp_path / "large.png"
    Image.new("RGB", (6000, 3000), "teal").save(path)
    photo = photos.read_photo(path, "large")
    assert photo.pixels.shape[0] * photo.pixels.shape[1] <= 12e6
    assert "6000 × 3000" in photo.notices[0]


def test_photo_on_the_page_is_smaller_than_at_an_endpoint(tmp_path):
    path = tmp_path / "large.png"
    Image.new("RGB", (2400, 1600), "teal").save(path)
    assert photos.read_photo(path, "large").pixels.shape == (1600, 2400, 3)
    scaled = photos.read_photo(path, "large", photos.PAGE_MEGAPIXELS)
    height, width, _ = scaled.pixels.shape
    assert 2.9e6 < height * width <= 3e6 and width / height == pytest.approx(1.5, abs=0.01)


def test_latents_come_out_of_the_pool_as_they_went_in(pixels):
    pool = photos.LatentsPool(10**8)
    made, kept = (pool.get("leaves", pixels).pyramid for _ in range(2))
    for band, same in zip(made, kept, strict=True):
        assert torch.equal(band, same) and band.stride() == same.stride()


def test_a_full_disk_only_costs_time(pixels, monkeypatch):
    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(photos.tempfile, "TemporaryFile", full)
    pool = photos.LatentsPool(10**8)
    assert pool.get("leaves", pixels).pixels is pixels and pool.n_bytes == 0
