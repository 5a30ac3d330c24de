"""The arithmetic of a training run: bfloat16 where it is native, float32 everywhere else."""

import os

import torch

_NATIVE = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16")
"""What a processor that multiplies bfloat16 calls that, in ``torch.cpu.get_capabilities``."""


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware.

    A processor without it emulates bfloat16, and a step takes about ten times as long as in
    float32 (docs/training.md).
    ``ONEDNN_MAX_CPU_ISA``, which keeps the library from newer instructions, is respected.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    limited = not any(word in allowed for word in ("DEFAULT", "ALL", "BF16", "AMX", "AVX10"))
    capabilities = torch.cpu.get_capabilities()
    return not limited and any(capabilities.get(name, False) for name in _NATIVE)


def training_dtype(device: torch.device) -> torch.dtype:
    """What convolutions and matrix products of a training step are computed in."""
    return torch.bfloat16 if has_native_bfloat16(device) else torch.float32


def described(device: torch.device) -> str:
    """One sentence for the log: the device, the arithmetic, and why."""
    if training_dtype(device) == torch.bfloat16:
        return f"Training on {device.type} in bfloat16."
    return f"Training on {device.type} in float32: it has no native bfloat16."
