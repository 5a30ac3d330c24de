"""Comparators: optimal quantizers, files of their own that count every byte, ablations of N."""

import struct
import tracemalloc
import zlib
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from qann_core import BitstreamError, Codec, ModelError, ParameterError
from qann_core.codec import Latents
from qann_core.coding.symbols import Source, decompress
from qann_core.comparators import (
    at_bytes,
    comparator_by_name,
    comparators,
    daq,
    decode,
    sweep_comparator,
)
from qann_core.comparators import rq as residual
from qann_core.comparators.lloyd_max import GAUSS, LAPLACE, lloyd_max
from qann_core.comparators.told import sweep_told, told_levels
from qann_core.metrics import psnr
from qann_core.models import models_folder
from qann_core.shapes import pyramid_shapes

CODEBOOKS = models_folder() / "psnr" / "rq"
MODEL = "0123abcd"
NAMES = ("daq", "rq")


def noise_latents(height: int, width: int, seed: int = 0) -> Latents:
    """Latents as peaked as a photo's, coarse to fine ever smaller."""
    random = np.random.default_rng(seed)
    pyramid = tuple(
        torch.from_numpy(random.laplace(5, 300 / 3**level, (1, *shape)).astype(np.float32))
        for level, shape in enumerate(pyramid_shapes(height, width))
    )
    return Latents(pyramid, np.zeros((height, width, 3), np.uint8))


@pytest.fixture(scope="module")
def latents(codec: Codec, photo: np.ndarray) -> Latents:
    return codec.encode(photo)


def reduced_directly(name: str, latents: Latents, setting: int) -> list[torch.Tensor]:
    """What a file should give back, band by band, without making one."""
    bands = [band[0] for band in latents.pyramid]
    if name == "daq":
        planes = [band.double().numpy() for band in bands]
        described = iter(daq.subbands(daq.side_information(planes, setting), setting))
        return [
            torch.from_numpy(np.stack([s.reconstruct(s.indices(p)) for s, p in pairs])).float()
            for pairs in ([(next(described), plane) for plane in band] for band in planes)
        ]
    codebooks = residual.Codebooks.load(CODEBOOKS)
    reduced = []
    for band, book, block, depth in zip(
        bands, codebooks.books, residual.BLOCKS, codebooks.schedule[setting - 1], strict=True
    ):
        vectors = residual.to_vectors(band, block)
        total = torch.zeros_like(vectors)
        for codes, indices in zip(book, residual.quantize(vectors, book[:depth]), strict=False):
            total += codes[indices]
        reduced.append(residual.from_vectors(total, tuple(band.shape), block))
    return reduced


@cache
def small_file(name: str) -> bytes:
    return comparator_by_name(name).pack(noise_latents(20, 36), 17, MODEL)


def sealed(data: bytes) -> bytes:
    """The same file with a payload length and a checksum that are right."""
    head = data[:16] + struct.pack("<I", len(data) - 24)
    return head + struct.pack("<I", zlib.crc32(data[24:], zlib.crc32(head))) + data[24:]


class TestLloydMax:
    @pytest.mark.parametrize(
        ("levels", "values", "error"),
        [
            (2, [0.7980], 0.3634),
            (3, [0.0, 1.224], 0.1902),
            (4, [0.4528, 1.510], 0.1175),
            (8, [0.2451, 0.7560, 1.344, 2.152], 0.03454),
            (16, [0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733], 0.009497),
        ],
    )
    def test_gauss_as_published_by_max_1960(self, levels, values, error):
        quantizer = lloyd_max(GAUSS, levels)
        assert quantizer.values[levels // 2 :] == pytest.approx(values, abs=6e-4)
        assert quantizer.distortion == pytest.approx(error, abs=6e-5)

    def test_laplace_in_closed_form(self):
        # The density has no memory: past the last threshold the centroid is a scale away.
        scale = 0.5**0.5
        assert lloyd_max(LAPLACE, 2).values == pytest.approx([-scale, scale])
        three = lloyd_max(LAPLACE, 3)
        assert three.values == pytest.approx([-2 * scale, 0, 2 * scale])
        assert three.thresholds == pytest.approx([-scale, scale])

    @given(st.sampled_from([LAPLACE, GAUSS]), st.integers(1, 256))
    @settings(max_examples=40, deadline=None)
    def test_meets_both_conditions(self, density, levels):
        quantizer = lloyd_max(density, levels)
        values, thresholds = quantizer.values, quantizer.thresholds
        assert len(values) == levels and (np.diff(values) > 0).all()
        assert values == pytest.approx(-values[::-1], abs=1e-9)
        assert thresholds == pytest.approx((values[1:] + values[:-1]) / 2, abs=1e-6)
        right = thresholds[thresholds >= 0]
        mass, moment = density.tail(right), density.tail_moment(right)
        inner = np.append(mass[:-1] - mass[1:], mass[-1:])
        centroids = np.append(moment[:-1] - moment[1:], moment[-1:]) / inner
        assert values[levels - len(right) :] == pytest.approx(centroids, rel=1e-4)

    def test_error_is_that_of_samples(self):
        samples = np.random.default_rng(0).laplace(0, 0.5**0.5, 200_000)
        for levels in (3, 9, 33):
            quantizer = lloyd_max(LAPLACE, levels)
            indices = quantizer.indices(samples)
            assert np.bincount(indices - indices.min()).argmax() + indices.min() == 0
            error = np.square(quantizer.reconstruct(indices) - samples).mean()
            assert error == pytest.approx(quantizer.distortion, rel=0.05)

    def test_no_levels(self):
        with pytest.raises(ParameterError, match="at least one level"):
            lloyd_max(GAUSS, 0)


class TestFiles:
    @given(st.sampled_from(NAMES), st.integers(1, 50), st.integers(1, 50), st.data())
    @settings(max_examples=24, deadline=None)
    def test_round_trip_of_any_size(self, name, height, width, data):
        comparator = comparator_by_name(name)
        setting = data.draw(st.sampled_from(comparator.allowed))
        original = noise_latents(height, width)
        back = comparator.unpack(comparator.pack(original, setting, MODEL))
        assert (back.height, back.width, back.setting) == (height, width, setting)
        assert back.model_id == MODEL
        wanted = reduced_directly(name, original, setting)
        for band, reduced in zip(back.pyramid, wanted, strict=True):
            assert band.dtype == torch.float32
            torch.testing.assert_close(band[0], reduced, rtol=1e-5, atol=1e-2)

    @pytest.mark.parametrize("name", NAMES)
    def test_error_falls_and_bytes_rise(self, name, latents):
        comparator = comparator_by_name(name)
        assert len(comparator.settings) >= 5
        assert set(comparator.settings) <= set(comparator.allowed)
        sizes, errors = [], []
        for setting in comparator.settings:
            data = comparator.pack(latents, setting, MODEL)
            sizes.append(len(data))
            pairs = zip(comparator.unpack(data).pyramid, latents.pyramid, strict=True)
            errors.append(sum(float((a - b).square().sum()) for a, b in pairs))
        assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True)
        assert errors[-1] < errors[0] / 8

    @pytest.mark.parametrize("name", NAMES)
    def test_every_byte_counts(self, name):
        """The length says it all, and no bit of the file can change unnoticed."""
        data = small_file(name)
        comparator = comparator_by_name(name)
        assert struct.unpack_from("<I", data, 16)[0] == len(data) - 24
        for length in range(0, len(data), 7):
            with pytest.raises(BitstreamError):
                comparator.unpack(data[:length])
        with pytest.raises(BitstreamError, match="too many"):
            comparator.unpack(data + b"x")
        for position in range(0, len(data), 3):
            damaged = bytearray(data)
            damaged[position] ^= 1 << position % 8
            with pytest.raises(BitstreamError):
                comparator.unpack(bytes(damaged))

    def test_daq_describes_every_subband_in_the_file(self, latents):
        data = comparator_by_name("daq").pack(latents, 9, MODEL)
        source = Source(data[24:])
        described = daq.subbands(decompress(source.take(source.varint()).tobytes(), 10_000), 9)
        planes = [plane for band in latents.pyramid for plane in band[0]]
        for subband, plane in zip(described, planes, strict=True):
            assert subband.mean == pytest.approx(float(plane.mean()), abs=0.13)
            if subband.deviation:
                assert subband.deviation == pytest.approx(float(plane.std()), rel=0.05)
        assert {bool(subband.deviation) for subband in described} == {True, False}

    def test_foreign_files(self):
        daq, rq = (comparator_by_name(name) for name in NAMES)
        with pytest.raises(BitstreamError, match="made by daq; rq cannot"):
            rq.unpack(small_file("daq"))
        with pytest.raises(BitstreamError, match="not a comparator's file"):
            daq.unpack(b"QANN" + bytes(40))
        for offset, value, words in ((4, 9, "version 9"), (5, 7, "comparator 7")):
            data = bytearray(small_file("daq"))
            data[offset] = value
            with pytest.raises(BitstreamError, match=words):
                daq.unpack(sealed(bytes(data)))

    @pytest.mark.parametrize("name", NAMES)
    def test_hostile_claims_take_little_memory(self, name):
        data = small_file(name)
        large = data[:12] + struct.pack("<HH", 8192, 8192) + data[16:]
        odd_setting = data[:10] + struct.pack("<H", 1000) + data[12:]
        too_large = data[:12] + struct.pack("<HH", 65535, 65535) + data[16:]
        for hostile in (large, odd_setting, too_large):
            tracemalloc.start()
            with pytest.raises(BitstreamError):
                comparator_by_name(name).unpack(sealed(hostile))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 100e6

    @given(st.sampled_from(NAMES), st.data())
    @settings(max_examples=100, deadline=None)
    def test_hostile_payloads_with_a_right_checksum(self, name, data):
        file = bytearray(small_file(name))
        for _ in range(data.draw(st.integers(1, 4))):
            file[data.draw(st.integers(24, len(file) - 1))] = data.draw(st.integers(0, 255))
        file = file[: len(file) - data.draw(st.sampled_from([0, 0, 1, 9]))]
        try:
            back = comparator_by_name(name).unpack(sealed(bytes(file)))
        except (BitstreamError, ModelError):
            return
        shapes = tuple((1, *shape) for shape in pyramid_shapes(20, 36))
        assert tuple(band.shape for band in back.pyramid) == shapes

    @pytest.mark.parametrize(("name", "setting"), [("daq", 8), ("daq", 1), ("rq", 0), ("rq", 35)])
    def test_settings_out_of_range(self, name, setting):
        with pytest.raises(ParameterError, match=f"is {setting}"):
            comparator_by_name(name).pack(noise_latents(16, 16), setting, MODEL)

    def test_unknown_name_and_model(self, codec, latents):
        assert tuple(comparator.name for comparator in comparators()) == NAMES
        with pytest.raises(ParameterError, match="daq, rq"):
            comparator_by_name("vq")
        with pytest.raises(ModelError, match=MODEL):
            decode(codec, comparator_by_name("daq").unpack(small_file("daq")))
        with pytest.raises(ParameterError, match="hexadecimal"):
            comparator_by_name("rq").pack(noise_latents(16, 16), 4, "default")


class TestResidualQuantization:
    def test_distortion_falls_with_every_depth_in_every_band(self, latents):
        codebooks = residual.Codebooks.load(CODEBOOKS)
        for band, book, block in zip(
            latents.pyramid, codebooks.books, residual.BLOCKS, strict=True
        ):
            vectors = residual.to_vectors(band[0], block)
            rest, errors = vectors, [float(vectors.square().sum())]
            for codes, indices in zip(book, residual.quantize(vectors, book), strict=True):
                assert torch.equal(indices, residual.nearest_codes(rest, codes))
                rest = rest - codes[indices]
                errors.append(float(rest.square().sum()))
            assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 4

    def test_code_zero_is_nearest_to_zero(self):
        for book in residual.Codebooks.load(CODEBOOKS).books:
            norms = book.square().sum(2)
            assert torch.equal(norms.argmin(1), torch.zeros(len(book), dtype=torch.int64))

    def test_vectors_and_back(self):
        band = torch.arange(3 * 4 * 6.0).reshape(3, 4, 6)
        vectors = residual.to_vectors(band, 2)
        assert vectors.shape == (6, 12)
        assert sorted(vectors[1].tolist()) == sorted(band[:, :2, 2:4].flatten().tolist())
        assert torch.equal(residual.from_vectors(vectors, (3, 4, 6), 2), band)

    def test_other_codebooks_are_named(self, tmp_path):
        tensors = load_file(CODEBOOKS / residual.CODEBOOKS_FILE)
        tensors["band0"] = tensors["band0"] + 1
        save_file(tensors, tmp_path / residual.CODEBOOKS_FILE)
        other = residual.ResidualQuantization(residual.Codebooks.load(tmp_path))
        with pytest.raises(ModelError, match=other.codebooks.id):
            comparator_by_name("rq").unpack(other.pack(noise_latents(16, 16), 6, MODEL))

    def test_codebooks_that_do_not_fit(self, tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            residual.Codebooks.load(tmp_path)
        good = load_file(CODEBOOKS / residual.CODEBOOKS_FILE)
        for name, value in (("band1", good["band1"][:, :8]), ("schedule", good["schedule"] + 1)):
            save_file({**good, name: value.contiguous()}, tmp_path / residual.CODEBOOKS_FILE)
            with pytest.raises(ModelError, match="shapes"):
                residual.Codebooks.load(tmp_path)

    def test_learning_lowers_the_error_and_spends_depth_by_depth(self, monkeypatch):
        codebooks = pytest.importorskip("qann_core.training.codebooks")
        monkeypatch.setattr(codebooks, "_ROUNDS", 3)
        monkeypatch.setattr(codebooks, "_SAMPLE", 1500)
        tensors = codebooks.learn_codebooks([noise_latents(256, 256, seed) for seed in (1, 2)])
        assert [tuple(tensors[f"band{i}"].shape[:2]) for i in range(5)] == list(
            zip(residual.DEPTHS, residual.CODES, strict=True)
        )
        assert residual._is_schedule(tensors["schedule"])

    def test_sharing_out_follows_the_hull(self):
        codebooks = pytest.importorskip("qann_core.training.codebooks")
        # One band's second depth saves more a bit than its first: both are taken together.
        steep, flat = [(0, 100), (1, 90), (2, 20)], [(0, 50), (1, 20), (2, 10)]
        rows = codebooks.share_out([steep, flat])
        assert rows == [[1, 0], [2, 0], [2, 1], [2, 2]]


class TestSweeps:
    @pytest.mark.parametrize("name", NAMES)
    def test_points_are_measured_from_real_files(self, name, codec, photo, latents):
        comparator = comparator_by_name(name)
        chosen = comparator.settings[1::3]
        points = list(sweep_comparator(codec, comparator, photo, chosen))
        assert [(p.codec, p.setting) for p in points] == [(name, setting) for setting in chosen]
        for point in points:
            data = comparator.pack(latents, point.setting, codec.model_id)
            decoded = decode(codec, comparator.unpack(data))
            assert decoded.shape == photo.shape and decoded.dtype == np.uint8
            assert (point.n_bytes, point.psnr) == (len(data), psnr(photo, decoded))
        assert points[-1].psnr > points[0].psnr + 3

    @pytest.mark.parametrize("name", NAMES)
    def test_at_bytes_honours_the_budget(self, name, codec):
        comparator, latents = comparator_by_name(name), noise_latents(48, 64)
        for budget in (300, 600):
            data, reduced = at_bytes(comparator, codec, latents, budget)
            assert len(data) <= budget and reduced.model_id == codec.model_id
            assert data == comparator.pack(latents, reduced.setting, codec.model_id)
            following = comparator.allowed[comparator.allowed.index(reduced.setting) + 1]
            assert len(comparator.pack(latents, following, codec.model_id)) > budget
        data, reduced = at_bytes(comparator, codec, latents, 10)
        assert reduced.setting == comparator.allowed[0] and len(data) > 10

    def test_told_wrong_from_the_same_file(self, codec, photo, latents):
        points = list(sweep_told(codec, photo, (64, 300)))
        assert [(p.codec, p.setting) for p in points] == [
            ("told-half", 64), ("told-double", 64), ("told-half", 300), ("told-double", 300),
        ]  # fmt: skip
        assert {p.n_bytes for p in points[:2]} == {len(codec.pack(latents, 64))}
        assert points[0].psnr != points[1].psnr
        quantized = codec.quantize(latents, 300)
        truth = psnr(photo, codec.decode(quantized))
        assert truth > max(p.psnr for p in points[2:])

    def test_told_levels_stay_within_limits(self):
        assert (told_levels("told-half", 64), told_levels("told-double", 64)) == (32, 128)
        assert (told_levels("told-half", 20), told_levels("told-double", 400)) == (16, 512)
