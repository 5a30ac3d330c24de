"""The commands that train: ``qann train``, ``train-prior`` and ``export``.

Their packages are an extra of the installation; each is imported when its command runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..common.errors import ParameterError
from ..common.files import find_images, listed_paths


# fmt: off
def add_training(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    parser = commands.add_parser("train", help="train the networks on folders of photos")
    add = parser.add_argument
    _add_run(parser, minutes=120.0, crop=256)
    add("--aim", choices=("psnr", "eye"), default="psnr",
        help="what to lose little of: squared error (default), or what the eye sees")
    add("--share", type=float, metavar="W",
        help="what squared error counts of the distortion with --aim eye, 0 to 1; default 0.3")
    add("--skeleton-share", type=float,
        help="of the budget: first, QANN alone; default 0.07, with --aim eye 0")
    add("--finish-share", type=float,
        help="of the budget: last, QANN alone; default 0.12, with --aim eye 0")
    add("--learned-prior", action="store_true", help="the prior of --init joins the rate")
    start = parser.add_mutually_exclusive_group().add_argument
    start("--init", help="a model to start from: a folder, or a bundled one's name")
    start("--size", choices=("default", "fast"), default="default", help="of fresh networks")
    start("--vae", metavar="VAE", help="train a restoration network only, for this frozen "
          "diffusers VAE: a folder or hub:OWNER/NAME")
    parser.set_defaults(run=_train)

    parser = commands.add_parser(
        "train-prior", help="train a learned prior for a model"
    )
    _add_run(parser, minutes=40.0, crop=128)
    parser.add_argument("--model", default="default", help="whose latents it is to code")
    parser.add_argument("--init", type=Path, help="a prior folder to start from")
    parser.set_defaults(run=_train_prior)

    parser = commands.add_parser("export", help="a run's weights to a model folder")
    parser.add_argument("run_folder", type=Path)
    parser.add_argument("model_folder", type=Path)
    parser.add_argument("--summary", required=True, help="one sentence on the model")
    parser.set_defaults(run=_export)


def _add_run(parser: argparse.ArgumentParser, minutes: float, crop: int) -> None:
    """Adds what every run of training has."""
    add = parser.add_argument
    add("folders", type=Path, nargs="+", help="folders of photos")
    add("--out", type=Path, required=True, help="the run's folder; resumed if used")
    add("--exclude", type=Path, help="a text file of image paths to leave out")
    budget = parser.add_mutually_exclusive_group().add_argument
    budget("--minutes", type=float, default=minutes, help="budget over all stages")
    budget("--steps", type=int, help="budget in optimizer steps instead")
    add("--batch", type=int, default=6, help="crops per step and process")
    add("--crop", type=int, default=crop, help="side of a crop in pixels")
    add("--rate", type=float, default=1.0, help="factor on the learning rates")
    add("--seed", type=int, default=0)
# fmt: on


def _train(options: argparse.Namespace) -> None:
    if options.vae is not None:
        _train_restorer(options)
        return
    with _training_extra():
        from ..training.codec_objective import train
        from ..training.options import RunOptions
    if options.share is not None and options.aim != "eye":
        raise ParameterError("--share is for --aim eye; squared error is all that --aim psnr has.")
    settings = {"skeleton_share": 0.07, "finish_share": 0.12} if options.aim == "psnr" else {}
    for name in ("skeleton_share", "finish_share", "share"):
        if getattr(options, name) is not None:
            settings[name] = getattr(options, name)
    train(
        _images(options),
        options.out,
        RunOptions(**_settings(options), ema_decay=0.998),
        options.init,
        options.size,
        options.learned_prior,
        options.aim,
        **settings,
    )


def _train_restorer(options: argparse.Namespace) -> None:
    given = {
        "--skeleton-share": options.skeleton_share, "--finish-share": options.finish_share,
        "--learned-prior": options.learned_prior or None, "--share": options.share,
        "--aim eye": None if options.aim == "psnr" else options.aim,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None:
            raise ParameterError(f"{name} is not for --vae, which trains a restorer alone.")
    with _training_extra():
        from ..training.options import RunOptions
        from ..training.restorer import train_restorer
    settings = RunOptions(**_settings(options), min_levels=4, max_levels=256, ema_decay=0.99)
    train_restorer(_images(options), options.out, options.vae, settings)


def _train_prior(options: argparse.Namespace) -> None:
    with _training_extra():
        from ..training.options import RunOptions
        from ..training.prior import train_prior
    settings = RunOptions(**_settings(options))
    folder = train_prior(_images(options), options.out, options.model, settings, options.init)
    print(f"{folder}: copy it into the folder of the model {options.model}")


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What every run has."""
    if options.steps is not None and options.steps < 1:
        raise ParameterError(f"steps is {options.steps}; it must be a whole number of 1 or more.")
    settings = {n: getattr(options, n) for n in ("minutes", "batch", "crop", "rate", "seed")}
    return {**settings, "steps": options.steps or 0}


def _images(options: argparse.Namespace) -> list[Path]:
    """The files of photos to train on."""
    return find_images(options.folders, listed_paths(options.exclude))


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
            f"Training needs the package {error.name}; install the project as '.[train]'."
        ) from error
