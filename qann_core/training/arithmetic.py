"""The arithmetic of a training run: bfloat16 where it is native, float32 everywhere else."""

import torch

from ..precision import has_native_bfloat16


def training_dtype(device: torch.device) -> torch.dtype:
    """What convolutions and matrix products of a training step are computed in."""
    return torch.bfloat16 if has_native_bfloat16(device) else torch.float32


def described(device: torch.device) -> str:
    """One sentence for the log: the device, the arithmetic, and why."""
    if training_dtype(device) == torch.bfloat16:
        return f"Training on {device.type} in bfloat16."
    return f"Training on {device.type} in float32: it has no native bfloat16."
