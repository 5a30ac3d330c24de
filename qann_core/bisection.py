"""Bisection over whole numbers: how settings are found for a wanted rate or quality."""

from collections.abc import Callable


def bisect(holds: Callable[[int], bool], low: int, high: int) -> tuple[int, int]:
    """Neighbours (n, n + 1) such that ``holds(n)`` and not ``holds(n + 1)``.

    ``holds(low)`` is taken to be true and ``holds(high)`` to be false; neither is called.
    """
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, high
