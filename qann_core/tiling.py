"""Networks over large pyramids in overlapping tiles, so that memory stays bounded."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .shapes import BLOCK
from .wavelet import Pyramid

TILE = 1024
HALO = 256
"""Networks see large images in tiles of TILE pixels with HALO pixels of context on each side.

Both are multiples of 256 pixels, the restoration network's attention window, so that the grid of
windows is the same wherever a tile starts.
"""

Box = tuple[int, int, int, int]
"""Top, bottom, left and right edge, in pixels."""


def in_tiles(network: Callable[[Pyramid], Pyramid], pyramid: Pyramid) -> Pyramid:
    """Runs a network over a pyramid, in tiles when it is large, so that memory stays bounded.

    Tiles overlap by HALO on each side, of which only the core is kept.
    """
    rows, columns = (size * BLOCK for size in pyramid[0].shape[-2:])
    if rows <= TILE + 2 * HALO and columns <= TILE + 2 * HALO:
        return network(tuple(_channels_last(band) for band in pyramid))
    out = tuple(torch.empty_like(band) for band in pyramid)
    for box, core in tiles(rows, columns):
        tile = network(tuple(_channels_last(cut(band, box, rows)) for band in pyramid))
        inner = (core[0] - box[0], core[1] - box[0], core[2] - box[2], core[3] - box[2])
        for target, band in zip(out, tile, strict=True):
            scale = rows // target.shape[-2]
            top, bottom, left, right = (edge // scale for edge in inner)
            cut(target, core, rows).copy_(band[..., top:bottom, left:right])
    return out


def tiles(rows: int, columns: int, side: int | None = None) -> Iterator[tuple[Box, Box]]:
    """(what a network sees, what is kept of it) of every tile: (top, bottom, left, right).

    ``side``: of the tiles, a multiple of ``BLOCK``, by default TILE.
    """
    side = side or TILE
    if rows <= side + 2 * HALO and columns <= side + 2 * HALO:
        yield (0, rows, 0, columns), (0, rows, 0, columns)
        return
    for top in range(0, rows, side):
        for left in range(0, columns, side):
            box = (max(0, top - HALO), min(rows, top + side + HALO),
                   max(0, left - HALO), min(columns, left + side + HALO))  # fmt: skip
            yield box, (top, min(rows, top + side), left, min(columns, left + side))


def cut(band: Tensor, box: Box, rows: int) -> Tensor:
    """A view of a band within a box; ``rows`` is the whole image's height in pixels."""
    scale = rows // band.shape[-2]
    top, bottom, left, right = (edge // scale for edge in box)
    return band[..., top:bottom, left:right]


def _channels_last(band: Tensor) -> Tensor:
    return band.contiguous(memory_format=torch.channels_last)
