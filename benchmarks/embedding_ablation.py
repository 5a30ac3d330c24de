"""What telling the restoration network N is worth: trained with and without the embedding.

    python benchmarks/embedding_ablation.py PHOTOS... --evaluate FOLDER [--steps K]

Two networks start as the same function: the trained network as it is at one N, by the layers that
both have; the embedding's own layers, where there are any, start at zero. Then both see the same
crops at the same N, step by step in turn, for restoration alone on the frozen encoder. Prints a
Markdown table of means over the images of FOLDER and writes mean points and margins as JSON.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from experiment import write_json
from torch import Tensor

from qann_core import Codec, read_image
from qann_core.blocks import ResidualBlock
from qann_core.files import find_images, listed_paths
from qann_core.models import DEFAULT_MODEL, load_networks, resolve_folder
from qann_core.rate_distortion import QUANTIZED, Evaluation, Point, measure
from qann_core.restoration import QannUNet
from qann_core.training.codec_objective import CodecObjective
from qann_core.training.data import CropStream, load_photos
from qann_core.training.objective import stage_at
from qann_core.training.optimizer import WARM_UP_STEPS, HybridOptimizer
from qann_core.training.options import RunOptions
from qann_core.vae import WaveletVAE
from qann_core.wavelet import Pyramid

TOLD, UNTOLD = "restored", "no-embedding"
START_LEVELS = 93
"""The middle, in logarithm, of the N that training draws."""

OUT = Path("assets/benchmarks/embedding-ablation.json")


def main() -> None:
    """Trains both, evaluates both, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="+", help="folders of training photos")
    parser.add_argument("--evaluate", type=Path, required=True, help="a folder of test images")
    parser.add_argument("--exclude", type=Path, help="a text file of image paths to leave out")
    parser.add_argument("--steps", type=int, default=400, help="optimizer steps of each network")
    parser.add_argument("--batch", type=int, default=4, help="crops a step")
    parser.add_argument("--crop", type=int, default=192, help="side of a crop in pixels")
    parser.add_argument("--levels", type=int, nargs="+", default=(32, 64, 128, 256))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    vae, trained, model_id = load_networks(resolve_folder(options.model))
    networks = start_alike(trained, options.seed)
    train_in_turn(vae, networks, options)
    codecs = {
        name: Codec(vae, network.eval().requires_grad_(False), model_id)
        for name, network in networks.items()
    }
    evaluation = evaluate(codecs, options.evaluate, options.levels)
    result = report(evaluation, model_id, options)
    write_json(options.out, result)
    print(table(result))


class UntoldUNet(QannUNet):
    """The network without the embedding and with nothing else that would give N away."""

    def forward(self, quantized: Pyramid, levels: Tensor) -> Pyramid:
        """As ``QannUNet``; the one input that N scales is scaled as at START_LEVELS."""
        return super().forward(quantized, torch.full_like(levels, START_LEVELS))


def start_alike(trained: QannUNet, seed: int) -> dict[str, QannUNet]:
    """A network with the embedding and one without, at first equal to ``trained`` at one N.

    FiLM at START_LEVELS becomes part of the convolution before it; the embedding, where there is
    one, starts anew, and its FiLM at zero.
    """
    config = dict(trained.config)
    shared = with_film_folded(trained)
    networks = {}
    for name, kind in ((TOLD, QannUNet), (UNTOLD, UntoldUNet)):
        torch.manual_seed(seed)
        width = config["embedding_channels"] if name == TOLD else 0
        network = kind.from_config(config, embedding_channels=width)
        network.load_state_dict(shared, strict=False)
        networks[name] = network
    return networks


def with_film_folded(trained: QannUNet) -> dict[str, Tensor]:
    """The weights without embedding and FiLM, whose effect at START_LEVELS is in ``conv1``."""
    assert trained.embedding is not None
    weights = {name: weight.clone() for name, weight in trained.state_dict().items()}
    embedding = trained.embedding(torch.tensor([float(START_LEVELS)]))
    for name, module in trained.named_modules():
        if isinstance(module, ResidualBlock) and module.film is not None:
            scale, shift = module.film(embedding)[0].chunk(2)
            weights[f"{name}.conv1.weight"] *= 1 + scale[:, None, None, None]
            weights[f"{name}.conv1.bias"] *= 1 + scale
            weights[f"{name}.conv1.bias"] += shift
    return {k: v for k, v in weights.items() if "film" not in k and "embedding" not in k}


def train_in_turn(
    vae: WaveletVAE, networks: dict[str, QannUNet], options: argparse.Namespace
) -> None:
    """Trains all networks on the same batches, each as long as the others."""
    paths = find_images(options.photos, listed_paths(options.exclude))
    photos = load_photos(paths, options.crop).training
    crops = CropStream(photos, options.crop, options.batch, options.seed)
    random = np.random.default_rng(options.seed)
    limits = RunOptions()
    low, high = np.log(limits.min_levels), np.log(limits.max_levels)
    objectives = {
        name: CodecObjective(vae, network, finish_share=1.0) for name, network in networks.items()
    }
    optimizers = {name: HybridOptimizer(objective) for name, objective in objectives.items()}
    for step in range(options.steps):
        images = crops.next()
        levels = torch.tensor(np.round(np.exp(random.uniform(low, high, options.batch)))).float()
        losses = []
        for name, objective in objectives.items():
            stage, progress = stage_at(step / options.steps, objective.stages)
            loss, _ = objective(images, levels, stage.name)
            loss.backward()
            warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
            optimizers[name].scale_rates(warm_up * stage.rate(progress))
            optimizers[name].step()
            losses.append(f"{name} {loss.item():.4f}")
        if step % 20 == 19:
            print(f"step {step + 1} of {options.steps}: loss {', '.join(losses)}", flush=True)


def evaluate(codecs: dict[str, Codec], folder: Path, levels: list[int]) -> Evaluation:
    """Points of every network and of no network, from the same files."""
    codec = codecs[TOLD]
    per_image: list[tuple[str, tuple[Point, ...]]] = []
    for path in find_images([folder]):
        pixels = read_image(path).pixels
        latents = codec.encode(pixels)
        points = []
        for n in levels:
            data = codec.pack(latents, n)
            quantized = codec.unpack(data)
            plain = codec.decode(quantized, restore=False)
            points.append(measure(QUANTIZED, n, len(data), pixels, plain))
            for name, one in codecs.items():
                points.append(measure(name, n, len(data), pixels, one.decode(quantized)))
        per_image.append((path.name, tuple(points)))
        print(path.name, flush=True)
    return Evaluation(tuple(per_image))


def report(evaluation: Evaluation, model_id: str, options: argparse.Namespace) -> dict:
    """Everything as plain values: how it was trained, mean points, margins by N."""
    margins = []
    for n in options.levels:
        gains = []
        for _, points in evaluation.per_image:
            reached = {p.codec: p.psnr for p in points if p.setting == n}
            gains.append(reached[TOLD] - reached[UNTOLD])
        margins.append(
            {"levels": n, "mean": float(np.mean(gains)), "least": min(gains), "most": max(gains)}
        )
    curves = {name: evaluation.mean_curve(name) for name in (QUANTIZED, TOLD, UNTOLD)}
    return {
        "model": model_id,
        "training": {
            "steps": options.steps, "batch": options.batch, "crop": options.crop,
            "seed": options.seed,
        },
        "images": len(evaluation.per_image),
        "mean": {name: [asdict(point) for point in curve] for name, curve in curves.items()},
        "psnr_told_minus_untold": margins,
    }  # fmt: skip


def table(result: dict) -> str:
    """The means and margins as Markdown."""
    lines = [
        f"{result['training']['steps']} steps each, {result['images']} images, PSNR in dB",
        "",
        "|   N |    bpp | quantized | no embedding | with embedding | margin | least margin |",
        "|----:|-------:|----------:|-------------:|---------------:|-------:|-------------:|",
    ]
    rows = zip(
        *(result["mean"][name] for name in (QUANTIZED, UNTOLD, TOLD)),
        result["psnr_told_minus_untold"],
        strict=True,
    )
    for quantized, untold, told, margin in rows:
        lines.append(
            f"| {told['setting']:3d} | {told['bpp']:6.3f} | {quantized['psnr']:9.2f} "
            f"| {untold['psnr']:12.2f} | {told['psnr']:14.2f} | {margin['mean']:+6.3f} "
            f"| {margin['least']:+12.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
