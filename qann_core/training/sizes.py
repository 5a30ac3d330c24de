"""Sizes of the networks that a run may start from fresh; what ships is one model of each."""

from typing import Any

from ..common.errors import ParameterError
from ..networks.restoration import QannUNet
from ..networks.vae import WaveletVAE

_SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    # Half as many features at every level: about a quarter of the multiply-accumulates.
    "fast": (
        {"encoder_widths": (16, 32, 48, 64), "decoder_widths": (16, 24, 32, 48)},
        {"widths": (16, 32, 64, 96), "embedding_channels": 64},
    ),
}

SIZES = tuple(_SIZES)


def fresh_networks(size: str) -> tuple[WaveletVAE, QannUNet]:
    """Untrained networks of one of SIZES.

    Raises:
        ParameterError: for another size.
    """
    if size not in _SIZES:
        raise ParameterError(f"There is no size {size!r}; there is: {', '.join(SIZES)}.")
    vae, qann = _SIZES[size]
    return WaveletVAE(**vae), QannUNet(**qann)
