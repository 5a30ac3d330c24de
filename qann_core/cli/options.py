"""Options that several commands have."""

from __future__ import annotations

import argparse

from ..coding.registry import CODER_NAMES

DEFAULT_LEVELS = (32, 48, 64, 96, 128, 192, 256)


def add_coder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--coder", choices=tuple(CODER_NAMES.values()), help="entropy coder; by default Brotli"
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="default",
        help="a bundled model, a model folder, a diffusers VAE's folder, or hub:OWNER/NAME",
    )
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
