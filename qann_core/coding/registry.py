"""Every entropy coder by its name and by its number in a file.

To add one: a module with the methods of ``interface.EntropyCoder``, a line in ``CODER_NAMES``, and
its construction in ``coder_by_name``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..common.errors import BitstreamError, ModelError, ParameterError
from .interface import EntropyCoder

if TYPE_CHECKING:
    from .weights import Prior

CODER_NAMES = {1: "brotli", 2: "prior"}
"""Every entropy coder's number in a file, and its name; the default first."""


def coder_name(identifier: int) -> str:
    """The name of the coder that a file names; BitstreamError when it is unknown here."""
    if identifier not in CODER_NAMES:
        raise BitstreamError(f"The file needs entropy coder {identifier}, which is unknown here.")
    return CODER_NAMES[identifier]


def coder_by_name(name: str, prior: Prior | None = None) -> EntropyCoder:
    """The coder of this name.

    Args:
        prior: the model's, which the coder "prior" needs.

    Raises:
        ParameterError: when there is no such coder; names those there are.
        ModelError: when the coder needs a prior and none is given.
    """
    if name == "brotli":
        from .brotli_coder import BrotliCoder

        return BrotliCoder()
    if name == "prior":
        if prior is None:
            raise ModelError("The coder prior needs a model's prior, and there is none.")
        from .prior_coder import PriorCoder  # torch comes with it

        return PriorCoder(prior)
    names = ", ".join(CODER_NAMES.values())
    raise ParameterError(f"There is no entropy coder named {name!r}; there are: {names}.")
