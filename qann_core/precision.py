"""In which arithmetic the networks of the decoder run: float32 defines the picture."""

from functools import cache

import torch

BFLOAT16_MIN_LEVELS = 24
"""Smallest N at which bfloat16 stays within a grey level of float32 at 99.9 % of the samples of
photos; below, the same error is multiplied by a larger step."""


@cache
def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively, about twice as fast as float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def decoding_precision(levels: int) -> torch.autocast:
    """bfloat16 products in the CPU's decoding networks where they are fast and do not show.

    What N does to the features stays float32 (``blocks``). docs/machines.md has the differences
    measured. Symbols are integers and do not depend on it.
    """
    enabled = levels >= BFLOAT16_MIN_LEVELS and _has_bfloat16()
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)
