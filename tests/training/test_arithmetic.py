"""Which arithmetic a run computes in, and that it says so."""

import pytest
import torch

from qann_core.training import arithmetic

CPU = torch.device("cpu")


def has(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_where_the_processor_has_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    has(monkeypatch, **{name: True})
    assert arithmetic.training_dtype(CPU) == torch.bfloat16
    assert arithmetic.described(CPU) == "Training on cpu in bfloat16."


def test_float32_where_bfloat16_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, avx2=True, avx512_bf16=False)
    assert arithmetic.training_dtype(CPU) == torch.float32
    assert "float32: it has no native bfloat16" in arithmetic.described(CPU)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("AVX2", torch.float32),
        ("avx512_core", torch.float32),
        ("AVX512_CORE_BF16", torch.bfloat16),
        ("DEFAULT", torch.bfloat16),
    ],
)
def test_a_limit_on_the_instructions_is_respected(
    allowed: str, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, avx512_bf16=True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", allowed)
    assert arithmetic.training_dtype(CPU) == expected
