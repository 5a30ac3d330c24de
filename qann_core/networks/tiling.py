"""Networks over large images in overlapping tiles, so that memory stays bounded."""

import ctypes
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .wavelet import Pyramid

TILE = 1024
HALO = 256
"""Networks see large images in tiles of TILE pixels with HALO pixels of context on each side.

Both are multiples of 256 pixels, the restoration network's attention window, so that the grid of
windows is the same wherever a tile starts.
"""

Box = tuple[int, int, int, int]
"""Top, bottom, left and right edge, in pixels."""


def in_tiles(
    network: Callable[[Box], Pyramid], rows: int, columns: int, side: int | None = None
) -> Pyramid:
    """Puts together what a network makes of the tiles of an image of rows x columns pixels.

    Tiles overlap by HALO on each side, of which only the core is kept.

    Args:
        network: bands (1, C, h, w) of a box.
        side: as for ``tiles``.
    """
    places = list(tiles(rows, columns, side))
    if len(places) == 1:
        return network(places[0][0])
    out: Pyramid = ()
    for box, core in places:
        return_free_memory()
        tile, height = network(box), box[1] - box[0]
        if not out:
            out = tuple(_enlarged(band, height, rows, columns) for band in tile)
        inner = (core[0] - box[0], core[1] - box[0], core[2] - box[2], core[3] - box[2])
        for target, band in zip(out, tile, strict=True):
            cut(target, core, rows).copy_(cut(band, inner, height))
        del tile
    return_free_memory()
    return out


def return_free_memory() -> None:
    """Gives free memory back to the system; glibc keeps what tiles of several sizes leave behind,
    half a gigabyte for 12 megapixels."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)


def _enlarged(band: Tensor, height: int, rows: int, columns: int) -> Tensor:
    """An empty band of the whole image, like one of a tile that is ``height`` pixels high."""
    scale = height // band.shape[-2]
    shape = (*band.shape[:2], rows // scale, columns // scale)
    return torch.empty(
        shape, dtype=band.dtype, device=band.device, memory_format=torch.channels_last
    )


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
