"""Where the networks run: names, refusals, the fallback of the prior, CUDA where there is one."""

import numpy as np
import pytest
import torch

from qann_core import Codec, QuantizedLatents
from qann_core.coding import weights
from qann_core.common.errors import ModelError, ParameterError
from qann_core.models import models_folder, prior_folder
from qann_core.networks.device import device_by_name

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
PRIOR = prior_folder(models_folder() / "psnr")


def test_names() -> None:
    assert device_by_name("cpu").type == "cpu"
    assert device_by_name("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ParameterError, match="cpu, cuda or auto"):
        device_by_name("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(ParameterError, match="no CUDA device"):
        Codec.load("psnr", device="cuda")


def test_a_prior_that_is_not_exact_on_a_device_runs_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The device is played by the CPU, and its arithmetic is wrong the first time."""
    genuine, asked = weights.known_answer, []

    def answer(network: object) -> str:
        asked.append(network)
        return "00000000" if len(asked) == 1 else genuine(network)

    monkeypatch.setattr(weights, "known_answer", answer)
    with pytest.warns(UserWarning, match="The prior runs on the CPU"):
        prior = weights.load_prior(PRIOR, "cpu:0")
    assert len(asked) == 2 and prior.device.type == "cpu"
    monkeypatch.setattr(weights, "known_answer", lambda network: "00000000")
    with pytest.raises(ModelError, match="This machine cannot use the prior"):
        weights.load_prior(PRIOR)


@needs_cuda
@pytest.mark.parametrize("coder", ["brotli", "prior"])
def test_files_of_one_device_decode_on_the_other(photo: np.ndarray, coder: str) -> None:
    cpu, cuda = (Codec.load("psnr", device=device) for device in ("cpu", "cuda"))
    for maker, reader in ((cpu, cuda), (cuda, cpu)):
        quantized = maker.quantize(maker.encode(photo), 64)
        read = reader.unpack(maker.pack_integers(quantized, coder))
        assert all(map(np.array_equal, read.bands, quantized.bands))
        difference = np.abs(maker.decode(quantized).astype(int) - reader.decode(read))
        assert (difference <= 1).mean() >= 0.999


@needs_cuda
def test_all_that_runs_on_cuda(photo: np.ndarray) -> None:
    cpu, cuda = (Codec.load("psnr", device=device) for device in ("cpu", "cuda"))
    latents = cuda.encode(photo)
    assert latents.pyramid[0].device.type == "cuda"
    optimised: QuantizedLatents = cuda.quantize(latents, 64, effort=2)
    assert len(cuda.pack_integers(optimised, "prior")) < len(cuda.pack(latents, 64, "prior"))
    quantized = cuda.quantize(latents, 64)
    seen = [codec.attention(quantized, 1, 2) for codec in (cpu, cuda)]
    assert np.allclose(*seen, atol=1e-3)
