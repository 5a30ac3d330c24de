"""The bundled models and entropy coders that a visitor can choose from; models are loaded once."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from qann_core import Codec, ParameterError
from qann_core.codec import Latents
from qann_core.models import DEFAULT_MODEL, bundled_models

DEFAULT_CODER = "brotli"

_codecs: dict[str, Codec] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class Choice:
    """What compresses a photo.

    Attributes:
        model: name of a bundled model.
        coder: name of an entropy coder; DEFAULT_CODER stands for the model's own first one.
    """

    model: str = DEFAULT_MODEL
    coder: str = DEFAULT_CODER


DEFAULT_CHOICE = Choice()


def model_names() -> list[str]:
    """The bundled models' names, the default one first."""
    names = [info.name for info in bundled_models()]
    return sorted(names, key=lambda name: name != DEFAULT_MODEL)


def codec_of(model: str = DEFAULT_MODEL) -> Codec:
    """The one codec of a bundled model in this process; it is safe to share between threads.

    There are a few bundled models of some megabytes each, so all may stay loaded.

    Raises:
        ParameterError: when no bundled model has this name; folders of others are not opened.
    """
    with _loading:
        if model not in _codecs:
            if model not in model_names():
                known = ", ".join(model_names())
                raise ParameterError(f"There is no model {model!r} here; choose from: {known}.")
            _codecs[model] = Codec.load(model)
        return _codecs[model]


def check_choice(model: str, coder: str) -> Choice:
    """The choice of a model and a coder by their names.

    Raises:
        ParameterError: when the page has no such model, or the model no such coder.
    """
    coders = codec_of(model).coders
    if coder not in coders and coder != DEFAULT_CODER:
        raise ParameterError(
            f"Model {model} cannot use the coder {coder!r}; it can use: {', '.join(coders)}."
        )
    return Choice(model, coder)


def pack(latents: Latents, levels: int, choice: Choice) -> bytes:
    """Latents of the chosen model to the bytes of a .qann file, with the chosen coder."""
    codec = codec_of(choice.model)
    if choice.coder == DEFAULT_CODER:
        return codec.pack(latents, levels)
    return codec.pack(latents, levels, choice.coder)
