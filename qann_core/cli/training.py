"""The commands that train: ``qann train``, ``train-prior``, ``train-vae`` and ``export``.

Their packages are an extra of the installation; each is imported when its command runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..files import listed_paths


def add_training(commands: argparse._SubParsersAction) -> None:
    """Adds the commands to the command line's parser."""
    _add_train(commands)
    _add_train_prior(commands)
    _add_train_vae(commands)
    _add_export(commands)


def _add_train(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="train the networks on folders of photos")
    _add_run(parser)
    _add_budget(parser, minutes=120.0)
    parser.add_argument("--batch", type=int, default=6, help="crops per step and process")
    parser.add_argument("--crop", type=int, default=256, help="side of a crop in pixels")
    parser.add_argument("--skeleton-share", type=float, default=0.07, help="first, QANN alone")
    parser.add_argument("--finish-share", type=float, default=0.12, help="last, QANN alone")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument(
        "--learned-prior", action="store_true", help="the prior of --init joins the rate"
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--init", type=Path, help="a model folder to start from")
    start.add_argument(
        "--size", choices=("default", "fast"), default="default", help="of fresh networks"
    )
    start.add_argument(
        "--vae",
        metavar="VAE",
        help="train a restoration network only, for this frozen diffusers VAE: a folder, a bundled "
        "model or hub:OWNER/NAME (with --minutes or --steps, --batch, --crop, --seed, --exclude)",
    )
    parser.set_defaults(run=_train)


def _add_train_prior(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train-prior", help="train the learned prior of the prior coder for a model"
    )
    _add_run(parser)
    parser.add_argument("--model", default="default", help="whose latents it is to code")
    parser.add_argument("--minutes", type=float, default=40.0, help="budget of the run")
    parser.add_argument("--batch", type=int, default=6, help="crops per step")
    parser.add_argument("--crop", type=int, default=128, help="side of a crop in pixels")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--init", type=Path, help="a prior folder to start from")
    parser.set_defaults(run=_train_prior)


def _add_train_vae(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train-vae", help="train a small AutoencoderKL on photos")
    _add_run(parser)
    _add_budget(parser, minutes=60.0)
    parser.add_argument("--latent-channels", type=int, default=16, metavar="C")
    parser.add_argument("--batch", type=int, default=4, help="crops per step and process")
    parser.add_argument("--crop", type=int, default=160, help="side of a crop in pixels")
    parser.set_defaults(run=_train_vae)


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="a run's weights to a model folder")
    parser.add_argument("run_folder", type=Path)
    parser.add_argument("model_folder", type=Path)
    parser.add_argument("--summary", required=True, help="one sentence on the model")
    parser.set_defaults(run=_export)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", type=Path, nargs="+", help="folders of photos")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; resumed if used")
    parser.add_argument("--exclude", type=Path, help="a text file of image paths to leave out")
    parser.add_argument("--seed", type=int, default=0)


def _add_budget(parser: argparse.ArgumentParser, minutes: float) -> None:
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=minutes, help="budget over all stages")
    budget.add_argument("--steps", type=int, default=0, help="budget in optimizer steps instead")


def _train(options: argparse.Namespace) -> None:
    if options.vae is not None:
        _train_restorer(options)
        return
    with _training_extra():
        from ..training.loop import TrainingOptions, train
    stages = ("skeleton_share", "finish_share", "rate", "compile")
    settings = TrainingOptions(**_settings(options, "steps", *stages))
    exclude, with_prior = listed_paths(options.exclude), options.learned_prior
    train(options.folders, options.out, settings, options.init, exclude, options.size, with_prior)


def _train_prior(options: argparse.Namespace) -> None:
    from ..models import resolve_folder

    with _training_extra():
        from ..training.prior_loop import PriorOptions, train_prior
    settings = PriorOptions(**_settings(options, "rate"))
    model, exclude = resolve_folder(options.model), listed_paths(options.exclude)
    folder = train_prior(options.folders, model, options.out, settings, options.init, exclude)
    print(f"{folder}: copy it into the model folder {model}")


def _train_vae(options: argparse.Namespace) -> None:
    with _training_extra():
        from ..training.tensor_loop import TensorOptions, train_vae
    settings = TensorOptions(**_settings(options, "steps"))
    exclude = listed_paths(options.exclude)
    train_vae(options.folders, options.out, settings, options.latent_channels, exclude)


def _train_restorer(options: argparse.Namespace) -> None:
    with _training_extra():
        from ..training.tensor_loop import TensorOptions, train_restorer
    settings = TensorOptions(**_settings(options, "steps"))
    exclude = listed_paths(options.exclude)
    train_restorer(options.folders, options.out, options.vae, settings, exclude)


def _settings(options: argparse.Namespace, *more: str) -> dict[str, Any]:
    """What every run is told, and what only some are."""
    return {n: getattr(options, n) for n in ("minutes", "batch", "crop", "seed", *more)}


def _export(options: argparse.Namespace) -> None:
    from ..training.export import export_run

    info = export_run(options.run_folder, options.model_folder, options.summary)
    print(f"{options.model_folder}: model {info.name}, id {info.id}")


@contextmanager
def _training_extra() -> Iterator[None]:
    """Says which package an import lacks, and what installs it."""
    try:
        yield
    except ImportError as error:
        raise ParameterError(
            f"Training needs the package {error.name}; install the project with its extra 'train'."
        ) from error
