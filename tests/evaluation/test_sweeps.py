"""Sweeps: points are measured from real files, one by one."""

import numpy as np
import pytest
from test_metrics import photo_like

from qann_core import Codec
from qann_core.evaluation.peers import peer_by_name
from qann_core.evaluation.points import QANN, Curve, assumed
from qann_core.evaluation.quantizers import quantizer_by_name
from qann_core.evaluation.sweeps import sweep_assumed, sweep_codec, sweep_peer, sweep_quantizer
from qann_core.metrics import psnr, ssim


def test_points_are_of_real_files_of_every_coder(codec: Codec, photo: np.ndarray) -> None:
    latents = codec.encode(photo)
    points = list(
        sweep_codec(codec, latents, photo, (40, 120), ("psnr", "ssim"), ("brotli", "prior"), 0, "m")
    )
    assert [(p.kind, p.curve.coder, p.setting) for p in points[:4]] == [
        ("quantized", "brotli", 40), ("restored", "brotli", 40),
        ("quantized", "prior", 40), ("restored", "prior", 40),
    ]  # fmt: skip
    for point in points:
        n, coder = point.setting, point.curve.coder
        data = codec.pack(latents, n, coder)
        decoded = codec.decode(codec.unpack(data), restore=point.kind == "restored")
        assert point.n_bytes == len(data) and point.bpp == 8 * len(data) / (203 * 133)
        assert point.values == {"psnr": psnr(photo, decoded), "ssim": ssim(photo, decoded)}
        assert point.curve == Curve(QANN, point.kind, coder, "m")
    assert points[4].bpp > points[0].bpp


def test_effort_chooses_the_integers_once(codec: Codec, photo: np.ndarray, monkeypatch) -> None:
    small = photo[:48, :64]
    latents, calls = codec.encode(small), []
    quantize = codec.quantize
    monkeypatch.setattr(codec, "quantize", lambda *a: calls.append(a[1:]) or quantize(*a))
    sweep = sweep_codec(codec, latents, small, iter([40, "never"]), ("psnr",), codec.coders, 1)
    points = [next(sweep) for _ in range(4)]
    sweep.close()
    assert calls == [(40, 1)] and {p.curve.effort for p in points} == {1}


def test_a_wrong_n_costs_the_same_bytes(codec: Codec, photo: np.ndarray) -> None:
    latents = codec.encode(photo)
    half, double = sweep_assumed(codec, latents, photo, (64,), ("psnr",))
    _, restored = sweep_codec(codec, latents, photo, (64,), ("psnr",))
    assert half.n_bytes == double.n_bytes == restored.n_bytes
    assert (half.kind, double.kind) == ("assumed-half", "assumed-double")
    assert len({p.values["psnr"] for p in (half, double, restored)}) == 3


def test_assumed_levels_stay_in_range() -> None:
    assert [assumed(f"assumed-{k}", n, 16, 512) for k, n in (("half", 20), ("double", 400))] == [
        16, 512,
    ]  # fmt: skip
    assert (assumed("assumed-half", 64, 16, 512), assumed("assumed-double", 64, 16, 512)) == (
        32, 128,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["daq", "rq"])
def test_points_of_other_quantizers(name: str, codec: Codec, photo: np.ndarray) -> None:
    latents, quantizer = codec.encode(photo), quantizer_by_name(name)
    setting = quantizer.settings[2]
    (point,) = sweep_quantizer(quantizer, codec, latents, photo, [setting], ("psnr",))
    reduced = quantizer.reduce(latents.pyramid, setting)
    decoded = codec.synthesize(reduced.pyramid, 133, 203)
    assert point.n_bytes == reduced.n_bytes and point.values == {"psnr": psnr(photo, decoded)}


def test_points_of_a_peer() -> None:
    peer, pixels = peer_by_name("jpeg"), photo_like(50, 70)
    points = list(sweep_peer(peer, pixels, (20, 80)))
    data = peer.encode(pixels, 80)
    assert points[1].n_bytes == len(data)
    assert points[1].values["psnr"] == psnr(pixels, peer.decode(data))
    assert [p.setting for p in sweep_peer(peer, pixels)] == list(peer.sweep)


@pytest.mark.parametrize(("side", "defined"), [(161, True), (160, False)])
def test_a_measure_that_is_not_defined_is_none(side: int, defined: bool) -> None:
    (point,) = sweep_peer(peer_by_name("jpeg"), photo_like(side, side), [50])
    assert (point.values["ms_ssim"] is not None) == defined
    assert point.values["ssim"] < 1
