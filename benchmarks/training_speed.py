"""How far a training step is bounded by its convolutions, in float32 and in bfloat16.

    python benchmarks/training_speed.py [--stage joint] [--learned-prior] [--batch 6] [--crop 256]

Prints, for both arithmetics, the machine's throughput on a 3x3 convolution (forward and backward),
the step's images and multiply-accumulates per second, and where the step's time goes by kind of
operation. A processor without native bfloat16 emulates it. ``ONEDNN_MAX_CPU_ISA=AVX2`` shows what
an older processor would do.
"""

import argparse
from collections.abc import Callable

import torch
from experiment import median_seconds
from torch import nn
from torch.profiler import ProfilerActivity, profile

from qann_core.codec import Codec
from qann_core.coding.weights import load_prior
from qann_core.evaluation.cost import kilo_macs
from qann_core.models import DEFAULT_MODEL, load_wavelet_networks, prior_folder, resolve_folder
from qann_core.networks.precision import training_dtype
from qann_core.training.codec_objective import CodecObjective
from qann_core.training.optimizer import HybridOptimizer

_KINDS = {"convolution": ("conv",), "matrix product": ("mm", "attention")}


def convolution_throughput(dtype: torch.dtype) -> float:
    """GFLOP/s of a 3x3 convolution of 64 channels, forward and backward."""
    layer = nn.Conv2d(64, 64, 3, padding=1)
    features = torch.rand(6, 64, 128, 128).contiguous(memory_format=torch.channels_last)
    features.requires_grad_(True)

    def once() -> None:
        with autocast(dtype):
            out = layer(features)
        out.sum().backward()

    flops = 3 * 2 * layer.weight.numel() * 6 * 128 * 128
    return flops / median_seconds(once, 7) / 1e9


def autocast(dtype: torch.dtype) -> torch.autocast:
    """Products in ``dtype``, as a training run has them."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def step_macs(cost: dict[str, float], stage: str) -> float:
    """kMAC per pixel of a training step: a backward pass costs two forward passes."""
    if stage == "joint":
        return 3 * sum(cost.values())
    # The decoder runs twice, once without and once with the gradient to its input alone.
    return (
        3 * cost["restoration"]
        + 3 * cost["decoder"]
        + (cost["encoder"] if stage == "finish" else 0)
    )


def shares(step: Callable[[], object]) -> dict[str, float]:
    """Share of the processor's time by kind of operation."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    totals = dict.fromkeys((*_KINDS, "other"), 0.0)
    for event in profiler.key_averages():
        kind = next((k for k, words in _KINDS.items() if any(w in event.key for w in words)), None)
        totals[kind or "other"] += event.self_cpu_time_total
    whole = sum(totals.values())
    return {kind: total / whole for kind, total in totals.items()}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=("skeleton", "joint", "finish"), default="joint")
    parser.add_argument("--learned-prior", action="store_true", help="as part of the rate")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = resolve_folder(DEFAULT_MODEL)
    vae, qann = load_wavelet_networks(folder)
    cost = kilo_macs(Codec.load(folder))
    vae, qann = vae.train().requires_grad_(True), qann.train().requires_grad_(True)
    prior = load_prior(prior_folder(folder)) if options.learned_prior else None
    objective = CodecObjective(vae, qann, prior)
    print(f"{options.threads} threads; a run here trains in {training_dtype(torch.device('cpu'))}")
    for dtype in (torch.float32, torch.bfloat16):
        report(objective, step_macs(cost, options.stage), dtype, options)


def report(
    objective: CodecObjective, macs: float, dtype: torch.dtype, options: argparse.Namespace
) -> None:
    """Measures and prints one arithmetic; ``macs``: kMAC per pixel of a step."""
    optimizer = HybridOptimizer(objective, dtype)
    optimizer.scale_rates(0.0)
    side, batch = options.crop, options.batch
    images = (torch.rand(batch, 3, side, side) - 0.5) * 255
    images = images.contiguous(memory_format=torch.channels_last)
    levels = torch.full((batch,), 96.0)

    def step() -> None:
        with autocast(dtype):
            loss, _ = objective(images, levels, options.stage)
        loss.backward()
        optimizer.step()

    peak = convolution_throughput(dtype)
    seconds = median_seconds(step, options.repeat)
    reached = 2000 * macs * batch * side * side / seconds / 1e9
    print(f"\n{str(dtype).removeprefix('torch.')}; a 3x3 convolution reaches {peak:.0f} GFLOP/s")
    print(f"{options.stage} step: {seconds:.2f} s, {batch / seconds:.2f} crops a second, ", end="")
    print(f"{reached:.0f} GFLOP/s, {100 * reached / peak:.0f} % of that")
    for kind, share in shares(step).items():
        print(f"{kind:16s} {100 * share:5.1f} %")


if __name__ == "__main__":
    main()
