"""Sweeps, Bjontegaard deltas and evaluations, with a small honest codec."""

import csv
import io
import json
import math
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator
from test_metrics import photo_like

from qann_core import wavelet
from qann_core.deltas import bd_psnr, bd_rate, decibels, spread
from qann_core.evaluation.peers import peer_by_name
from qann_core.metrics import psnr, ssim
from qann_core.quantization import dequantize, quantize
from qann_core.rate_distortion import Evaluation, Point, evaluate, sweep_codec, sweep_peer
from qann_core.shapes import pyramid_shapes

RATES = [0.1, 0.2, 0.4, 0.8, 1.6]
DECIBELS = [26.0, 28.5, 31.0, 34.0, 37.0]


class SkeletonCodec:
    """The wavelet and the quantizer with zlib; it "restores" towards the centre of density."""

    def __init__(self):
        self.encoded = 0

    def encode(self, pixels):
        self.encoded += 1
        centred = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() - 127.5
        return wavelet.forward(wavelet.pad(centred)), pixels.shape

    def pack(self, latents, levels):
        bands = quantize(latents[0], levels)
        height, width, _ = latents[1]
        header = b"".join(n.to_bytes(2, "big") for n in (height, width, levels))
        return header + zlib.compress(b"".join(b.astype("<i2").tobytes() for b in bands))

    def unpack(self, data):
        height, width, levels = (int.from_bytes(data[i : i + 2], "big") for i in (0, 2, 4))
        values = np.frombuffer(zlib.decompress(data[6:]), "<i2").astype(np.int32)
        shapes = pyramid_shapes(height, width)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        bands = [b.reshape(s) for b, s in zip(np.split(values, ends), shapes, strict=True)]
        return tuple(bands), levels, height, width

    def decode(self, quantized, restore=True):
        bands, levels, height, width = quantized
        pyramid = dequantize(bands, levels)
        if restore:
            # Within a bin of a peaked density the mean lies nearer to zero than the centre.
            step = wavelet.LL_RANGE / (levels - 1)
            pyramid = (pyramid[0], *(b + 0.06 * step * b.sign() for b in pyramid[1:]))
        image = wavelet.inverse(pyramid)[0, :, :height, :width] + 127.5
        return image.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


class TestBdRate:
    def test_known_values(self):
        assert bd_rate(RATES, DECIBELS, RATES, DECIBELS) == pytest.approx(0, abs=1e-9)
        halved = [rate / 2 for rate in RATES]
        assert bd_rate(RATES, DECIBELS, halved, DECIBELS) == pytest.approx(-50)
        assert bd_rate(halved, DECIBELS, RATES, DECIBELS) == pytest.approx(100)
        better = [value + 0.7 for value in DECIBELS]
        assert bd_psnr(RATES, DECIBELS, RATES, better) == pytest.approx(0.7)
        assert bd_psnr(RATES, better, RATES, DECIBELS) == pytest.approx(-0.7)

    def test_equals_the_integral_of_pchip(self):
        rates, values = [0.12, 0.3, 0.55, 1.2], [27.5, 31.0, 33.5, 37.5]
        low, high = 27.5, 37.0
        areas = [
            PchipInterpolator(m, np.log(r)).integrate(low, high)
            for r, m in ((RATES, DECIBELS), (rates, values))
        ]
        expected = 100 * (math.exp((areas[1] - areas[0]) / (high - low)) - 1)
        assert bd_rate(RATES, DECIBELS, rates, values) == pytest.approx(expected, rel=1e-6)

    @given(st.permutations(range(5)), st.floats(0.2, 5))
    @settings(max_examples=30, deadline=None)
    def test_order_does_not_matter(self, order, factor):
        rates = [RATES[i] * factor for i in order]
        values = [DECIBELS[i] for i in order]
        assert bd_rate(RATES, DECIBELS, rates, values) == pytest.approx(100 * (factor - 1))

    def test_duplicates_dominated_and_lossless_points_are_dropped(self):
        rates = [*RATES, 0.4, 0.4, 0.9, 5.0]
        values = [*DECIBELS, 31.0, 29.5, 30.5, math.inf]
        assert bd_rate(RATES, DECIBELS, rates, values) == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize(
        ("rates", "values"),
        [
            ([], []),
            ([0.4], [31.0]),
            ([0.4, 0.5], [31.0, 31.0]),
            (RATES, [v + 20 for v in DECIBELS]),
            (RATES, [v + 8 for v in DECIBELS]),
        ],
    )
    def test_none_when_the_ranges_barely_meet(self, rates, values):
        assert bd_rate(RATES, DECIBELS, rates, values) is None
        assert bd_rate(rates, values, RATES, DECIBELS) is None

    def test_similarities_in_decibels(self):
        assert [decibels(m) for m in (0, 0.9, 0.99)] == pytest.approx([0, 10, 20])
        assert decibels(1) == math.inf
        similarity = [1 - 10 ** (-value / 10) for value in DECIBELS]
        recovered = [decibels(m) for m in similarity]
        assert bd_rate(RATES, DECIBELS, RATES, recovered) == pytest.approx(0, abs=1e-6)

    def test_spread(self):
        found = spread([-10.0, None, -30.0])
        assert (found.images, found.mean, found.least, found.most) == (2, -20, -30, -10)
        assert found.deviation == pytest.approx(10)
        assert spread([None]) is None and spread([]) is None

    def test_bd_psnr_needs_common_rates(self):
        assert bd_psnr(RATES, DECIBELS, [100 * r for r in RATES], DECIBELS) is None


class TestSweeps:
    def test_codec_points_are_measured_from_real_files(self):
        codec, pixels = SkeletonCodec(), photo_like(50, 70)
        points = list(sweep_codec(codec, pixels, (40, 120)))
        assert [(p.codec, p.setting) for p in points] == [
            ("quantized", 40), ("restored", 40), ("quantized", 120), ("restored", 120),
        ]  # fmt: skip
        assert codec.encoded == 1
        data = codec.pack(codec.encode(pixels), 40)
        decoded = codec.decode(codec.unpack(data), restore=True)
        expected = Point(
            "restored", 40, 8 * len(data) / 3500, len(data), psnr(pixels, decoded),
            ssim(pixels, decoded), None,
        )  # fmt: skip
        assert points[1] == expected
        assert points[0].n_bytes == points[1].n_bytes and points[0].psnr != points[1].psnr
        assert points[2].bpp > points[0].bpp and points[2].psnr > points[0].psnr

    def test_sweep_is_lazy(self):
        codec = SkeletonCodec()
        sweep = sweep_codec(codec, photo_like(32, 32), iter([40, "never reached"]))
        assert codec.encoded == 0
        next(sweep)
        next(sweep)
        sweep.close()
        assert codec.encoded == 1

    def test_peer_points(self):
        peer, pixels = peer_by_name("jpeg"), photo_like(50, 70)
        points = list(sweep_peer(peer, pixels, (20, 80)))
        data = peer.encode(pixels, 80)
        assert points[1].n_bytes == len(data)
        assert points[1].psnr == psnr(pixels, peer.decode(data))
        assert [p.setting for p in sweep_peer(peer, pixels)] == list(peer.sweep)

    def test_time_is_taken_of_each_file(self):
        points = [
            *sweep_codec(SkeletonCodec(), photo_like(50, 70), (40,)),
            *sweep_peer(peer_by_name("jpeg"), photo_like(50, 70), (20,)),
        ]
        assert all(p.encode_seconds > 0 and p.decode_seconds > 0 for p in points)
        assert points[0].encode_seconds == points[1].encode_seconds, "one file, decoded twice"

    def test_slow_measures_on_request(self):
        peer, pixels = peer_by_name("jpeg"), photo_like(225, 230)
        (asked,) = sweep_peer(peer, pixels, [50], ("ssimulacra2",))
        (small,) = sweep_peer(peer, pixels[1:], [50], ("ssimulacra2",))
        (point,) = sweep_peer(peer, pixels, [50])
        assert asked.ssimulacra2 < 100 and point.ssimulacra2 is None
        assert small.ssimulacra2 is None, "undefined below 225 pixels"

    def test_ms_ssim_where_defined(self):
        peer = peer_by_name("jpeg")
        for side, defined in ((161, True), (160, False)):
            (point,) = sweep_peer(peer, photo_like(side, side), [50])
            assert (point.ms_ssim is not None) == defined
        assert point.ssim < 1


@pytest.fixture(scope="module")
def evaluation():
    images = [(f"photo {seed}", photo_like(48, 64, seed)) for seed in (0, 1)]
    seen = []
    result = evaluate(
        SkeletonCodec(), iter(images), (24, 48, 96, 192, 384), [peer_by_name("jpeg")],
        lambda name, point: seen.append((name, point)),
    )  # fmt: skip
    assert seen == [(name, point) for name, points in result.per_image for point in points]
    assert len(seen) == 2 * (2 * 5 + len(peer_by_name("jpeg").sweep))
    return result


class TestEvaluation:
    def test_means(self, evaluation):
        rows = evaluation.to_dict()["per_image"]
        (mean,) = (row for row in evaluation.to_dict()["mean"] if row["levels"] == 96)
        of_96 = [row for row in rows if row["levels"] == 96]
        assert [row["image"] for row in of_96] == ["photo 0", "photo 1"]
        for key in ("bpp", "psnr_quantized", "psnr_restored", "ssim_quantized", "ssim_restored"):
            assert mean[key] == pytest.approx((of_96[0][key] + of_96[1][key]) / 2)

    def test_bd_rate_is_of_the_mean_curves(self, evaluation):
        result = evaluation.to_dict()
        mean, jpeg = result["mean"], result["peers"]["jpeg"]
        for name, key in (("restored", "bd_rate_psnr"), ("quantized", "bd_rate_psnr_quantized")):
            expected = bd_rate(
                [row["bpp"] for row in jpeg], [row["psnr"] for row in jpeg],
                [row["bpp"] for row in mean], [row[f"psnr_{name}"] for row in mean],
            )  # fmt: skip
            assert expected is not None
            assert result[key] == {"jpeg": pytest.approx(expected)}
        gain = bd_rate(
            [row["bpp"] for row in mean], [row["psnr_quantized"] for row in mean],
            [row["bpp"] for row in mean], [row["psnr_restored"] for row in mean],
        )  # fmt: skip
        assert result["bd_rate_psnr_restoration"] == pytest.approx(gain)

    def test_json(self, evaluation):
        result = json.loads(evaluation.to_json())
        assert result["images"] == 2
        assert result == json.loads(json.dumps(evaluation.to_dict()))
        row = result["per_image"][0]
        assert row["n_bytes"] == evaluation.per_image[0][1][0].n_bytes
        assert [r["levels"] for r in result["mean"]] == [24, 48, 96, 192, 384]

    def test_csv(self, evaluation):
        rows = list(csv.DictReader(io.StringIO(evaluation.to_csv())))
        points = [point for _, points in evaluation.per_image for point in points]
        assert len(rows) == len(points)
        for row, point in zip(rows, points, strict=True):
            assert (row["codec"], int(row["setting"])) == (point.codec, point.setting)
            assert float(row["psnr"]) == point.psnr and row["ms_ssim"] == ""

    def test_table(self, evaluation):
        table = evaluation.to_table()
        mean = evaluation.mean_curve("restored")[0]
        line = next(line for line in table.splitlines() if line.startswith("|  24 |"))
        assert f"{mean.bpp:.3f}" in line and f"{mean.psnr:.2f}" in line
        blocks = [block.splitlines() for block in table.strip().split("\n\n")]
        assert [len({len(line) for line in block}) for block in blocks] == [1, 1]
        assert f"{evaluation.bd_rate_psnr('restored')['jpeg']:+.1f}" in table

    def test_lossless_points_are_valid_json(self):
        points = tuple(Point(c, 24, 1.0, 10, math.inf, 1.0) for c in ("quantized", "restored"))
        lossless = Evaluation((("flat", points),))
        assert json.loads(lossless.to_json())["mean"][0]["psnr_restored"] is None
        assert "inf" in lossless.to_table()

    def test_empty(self):
        empty = evaluate(SkeletonCodec(), [], (24,))
        assert json.loads(empty.to_json())["images"] == 0
        assert empty.to_table().startswith("|   N |")
