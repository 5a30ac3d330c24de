"""The bundled models and entropy coders that a visitor can choose from; models are loaded once."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any

from qann_core import ParameterError
from qann_core.codec import Codec
from qann_core.models import DEFAULT_MODEL, bundled_models

DEFAULT_CODER = "brotli"

MAX_SLIDER = 400
"""The slider's largest N: beyond it pictures hardly change. The endpoints go on to 512."""

CODERS = {"brotli": "Brotli", "prior": "Learned prior"}
"""How entropy coders are called."""

EFFORT = 4
"""Passes of optimised quantization where it is asked for."""

_codecs: dict[str, Codec] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class Choice:
    """What compresses a photo.

    Attributes:
        model: name of a bundled model.
        coder: name of an entropy coder; DEFAULT_CODER stands for the model's own first one.
        effort: passes of optimised quantization.
    """

    model: str = DEFAULT_MODEL
    coder: str = DEFAULT_CODER
    effort: int = 0


DEFAULT_CHOICE = Choice()


OWN = "own"
"""Stands for the visitor's own photo where an example's name could stand."""


@dataclass(frozen=True)
class Setting:
    """What a visitor looks at.

    Attributes:
        photo: an example's name, or OWN.
        levels: N.
        large: whether an own photo is worked on at its full size.
        choice: what compresses it.
    """

    photo: str
    levels: int
    large: bool = False
    choice: Choice = DEFAULT_CHOICE


OPENING = Setting("astronaut", 40)
"""What the page opens with."""


def model_names() -> list[str]:
    """The bundled models' names, the default one first."""
    names = [info.name for info in bundled_models()]
    return sorted(names, key=lambda name: name != DEFAULT_MODEL)


def codec_of(model: str = DEFAULT_MODEL) -> Codec:
    """The one codec of a bundled model in this process; it is safe to share between threads.

    There are a few bundled models of some megabytes each, so all may stay loaded. The environment
    variable QANN_DEVICE says where their networks run: cpu, cuda or auto.

    Raises:
        ParameterError: when no bundled model has this name; folders of others are not opened.
    """
    with _loading:
        if model not in _codecs:
            if model not in model_names():
                known = ", ".join(model_names())
                raise ParameterError(f"There is no model {model!r} here; choose from: {known}.")
            _codecs[model] = Codec.load(model, device=os.environ.get("QANN_DEVICE", "cpu"))
        return _codecs[model]


def check_choice(model: str, coder: str, optimise: bool = False) -> Choice:
    """The choice of a model and a coder by their names, and of EFFORT or none.

    Raises:
        ParameterError: when the page has no such model, or the model no such coder or no optimised
            quantization.
    """
    codec = codec_of(model)
    coders = codec.coders
    if optimise and not codec.max_effort:
        raise ParameterError(f"Model {model} has no optimised quantization; choose another.")
    if coder not in coders and coder != DEFAULT_CODER:
        raise ParameterError(
            f"Model {model} cannot use the coder {coder!r}; it can use: {', '.join(coders)}."
        )
    return Choice(model, coder, EFFORT if optimise else 0)


def pack(integers: Any, choice: Choice) -> bytes:
    """Integers of the chosen model to the bytes of a .qann file, with the chosen coder."""
    coder = None if choice.coder == DEFAULT_CODER else choice.coder
    return codec_of(choice.model).pack_integers(integers, coder)


def within(levels: int | None, otherwise: int, model: str = DEFAULT_MODEL) -> int:
    """N as typed, brought into the slider's range for a model as the slider itself does."""
    low, high = slider_range(model)
    return min(max(int(otherwise if levels is None else levels), low), high)


def slider_range(model: str = DEFAULT_MODEL) -> tuple[int, int]:
    """The slider's smallest and largest N."""
    codec = codec_of(model)
    return codec.min_levels, min(codec.max_levels, MAX_SLIDER)


def coder_choices(model: str = DEFAULT_MODEL) -> list[tuple[str, str]]:
    """A model's coders, as labels and values; the first is every model's default."""
    first, *others = codec_of(model).coders
    return [(CODERS.get(first, first), DEFAULT_CODER), *((CODERS.get(c, c), c) for c in others)]
