"""In which arithmetic the networks are trained and decode: float32 defines the picture."""

import os

import torch

BFLOAT16_MIN_LEVELS = 24
"""Smallest N at which bfloat16 stays within a grey level of float32 at 99.9 % of the samples of
photos; below, the same error is multiplied by a larger step."""


_NATIVE = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16")
"""What a processor that multiplies bfloat16 calls that, in ``torch.cpu.get_capabilities``."""


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware.

    A processor without it emulates bfloat16, about ten times slower than float32.
    ``ONEDNN_MAX_CPU_ISA`` and ``ATEN_CPU_CAPABILITY``, which keep the libraries from newer
    instructions, are respected; some of ATen's bfloat16 operations are refused without AVX-512.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    limited = not any(word in allowed for word in ("DEFAULT", "ALL", "BF16", "AMX", "AVX10"))
    limited |= os.environ.get("ATEN_CPU_CAPABILITY", "").lower() in ("default", "avx2")
    capabilities = torch.cpu.get_capabilities()
    return not limited and any(capabilities.get(name, False) for name in _NATIVE)


def training_dtype(device: torch.device) -> torch.dtype:
    """What convolutions and matrix products of a training step are computed in."""
    return torch.bfloat16 if has_native_bfloat16(device) else torch.float32


def decoding_precision(levels: int) -> torch.autocast:
    """bfloat16 products in the CPU's decoding networks where they are fast and do not show.

    What N does to the features stays float32 (``blocks``). docs/machines.md has the differences
    measured. Symbols are integers and do not depend on it.
    """
    enabled = levels >= BFLOAT16_MIN_LEVELS and has_native_bfloat16(torch.device("cpu"))
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)
