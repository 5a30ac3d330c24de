"""In which arithmetic the networks of the decoder run."""

from functools import cache

import torch


@cache
def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively, about twice as fast as float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def decoding_precision() -> torch.autocast:
    """bfloat16 products in the decoding networks where they are fast.

    The weights were trained so; pictures differ by a grey level at the most, but for a few
    samples in 100,000. Symbols are integers and do not depend on it.
    """
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=_has_bfloat16())
