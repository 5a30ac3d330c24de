"""Other quantizers of the latents: optimal ones, their error and their price."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from qann_core import Codec, ModelError, ParameterError
from qann_core.codec import Latents
from qann_core.common.shapes import pyramid_shapes
from qann_core.evaluation import quantizers as residual
from qann_core.evaluation.lloyd_max import GAUSS, LAPLACE, lloyd_max
from qann_core.evaluation.quantizers import OTHER_QUANTIZERS, quantizer_by_name, subbands
from qann_core.models import models_folder

CODEBOOKS = models_folder() / "psnr" / "rq"
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
def latents(photo: np.ndarray) -> Latents:
    """Of the model that the codebooks were learned for."""
    return Codec.load("psnr").encode(photo)


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


class TestEveryQuantizer:
    @given(st.sampled_from(NAMES), st.integers(1, 50), st.integers(1, 50), st.data())
    @settings(max_examples=16, deadline=None)
    def test_any_size_keeps_its_shapes(self, name, height, width, data):
        quantizer = quantizer_by_name(name)
        pyramid = noise_latents(height, width).pyramid
        reduced = quantizer.reduce(pyramid, data.draw(st.sampled_from(quantizer.allowed)))
        assert [b.shape for b in reduced.pyramid] == [b.shape for b in pyramid]
        assert all(band.dtype == torch.float32 for band in reduced.pyramid)
        assert reduced.n_bytes > 24

    @pytest.mark.parametrize("name", NAMES)
    def test_error_falls_and_bytes_rise(self, name, latents):
        quantizer = quantizer_by_name(name)
        assert set(quantizer.settings) <= set(quantizer.allowed)
        sizes, errors = [], []
        for setting in quantizer.settings:
            reduced = quantizer.reduce(latents.pyramid, setting)
            sizes.append(reduced.n_bytes)
            pairs = zip(reduced.pyramid, latents.pyramid, strict=True)
            errors.append(sum(float((a - b).square().sum()) for a, b in pairs))
        assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True)
        assert errors[-1] < errors[0] / 8

    def test_daq_describes_every_subband(self, latents):
        bands = [band[0].double().numpy() for band in latents.pyramid]
        described = subbands(bands, 9)
        planes = [plane for band in bands for plane in band]
        for subband, plane in zip(described, planes, strict=True):
            assert subband.mean / 4 == pytest.approx(float(plane.mean()), abs=0.13)
            if subband.deviation:
                assert subband.deviation == pytest.approx(float(plane.std()), rel=0.05)
        assert {bool(subband.deviation) for subband in described} == {True, False}

    def test_daq_keeps_at_most_n_values_in_a_subband(self, latents):
        reduced = quantizer_by_name("daq").reduce(latents.pyramid, 9)
        assert max(len(plane.unique()) for band in reduced.pyramid for plane in band[0]) == 9

    @pytest.mark.parametrize(("name", "setting"), [("daq", 8), ("daq", 1), ("rq", 0), ("rq", 35)])
    def test_settings_out_of_range(self, name, setting):
        with pytest.raises(ParameterError, match=f"is {setting}"):
            quantizer_by_name(name).reduce(noise_latents(16, 16).pyramid, setting)

    def test_unknown_name(self):
        assert tuple(quantizer.name for quantizer in OTHER_QUANTIZERS) == NAMES
        with pytest.raises(ParameterError, match="daq, rq"):
            quantizer_by_name("vq")


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

    def test_other_codebooks_have_another_identity(self, tmp_path):
        tensors = load_file(CODEBOOKS / residual.CODEBOOKS_FILE)
        tensors["band0"] = tensors["band0"] + 1
        save_file(tensors, tmp_path / residual.CODEBOOKS_FILE)
        other = residual.ResidualQuantization(residual.Codebooks.load(tmp_path))
        assert other.identity != quantizer_by_name("rq").identity

    def test_codebooks_that_do_not_fit(self, tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            residual.Codebooks.load(tmp_path)
        good = load_file(CODEBOOKS / residual.CODEBOOKS_FILE)
        for name, value in (("band1", good["band1"][:, :8]), ("schedule", good["schedule"] + 1)):
            save_file({**good, name: value.contiguous()}, tmp_path / residual.CODEBOOKS_FILE)
            with pytest.raises(ModelError, match="shapes"):
                residual.Codebooks.load(tmp_path)

    def test_learning_lowers_the_error_and_spends_depth_by_depth(self, monkeypatch):
        from benchmarks import rq_codebooks as codebooks

        monkeypatch.setattr(codebooks, "_ROUNDS", 3)
        monkeypatch.setattr(codebooks, "_SAMPLE", 1500)
        tensors = codebooks.learn_codebooks([noise_latents(256, 256, seed) for seed in (1, 2)])
        assert [tuple(tensors[f"band{i}"].shape[:2]) for i in range(5)] == list(
            zip(residual.DEPTHS, residual.CODES, strict=True)
        )
        assert residual.is_schedule(tensors["schedule"])

    def test_sharing_out_follows_the_hull(self):
        from benchmarks import rq_codebooks as codebooks

        # One band's second depth saves more a bit than its first: both are taken together.
        steep, flat = [(0, 100), (1, 90), (2, 20)], [(0, 50), (1, 20), (2, 10)]
        rows = codebooks.share_out([steep, flat])
        assert rows == [[1, 0], [2, 0], [2, 1], [2, 2]]
