"""What each of a network's parameters is to the optimizer that trains it.

A module names the roles of its children and parameters in ``roles``, a mapping by attribute name.
A role holds for everything below, unless a module there says otherwise; the default
is hidden. Only training reads it.
"""

from enum import StrEnum


class Role(StrEnum):
    """A kind of parameter, each with a learning rate of its own."""

    HIDDEN = "hidden"
    """Convolutions and linear layers between the first and the last: matrices, for Muon. Biases
    among them count as OUTER."""

    OUTER = "outer"
    """First layers, embeddings and whatever is not a matrix."""

    HEAD = "head"
    """Last layers."""

    PRIOR_HEAD = "prior head"
    """Last layers of the learned prior, whose inputs are integers up to 127."""

    DENSITY = "density"
    """Scalars of a density model, far from any other parameter's scale."""
