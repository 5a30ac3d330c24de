"""A training step as a CUDA graph: captured once, replayed without a launch for every kernel.

The networks are small; launched one by one, their thousands of kernels a step would take longer to
launch than to run.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[], dict[str, Tensor]]
"""One optimizer step on fresh random crops; returns figures, tensors () on the device."""

_WARM_UP = 3
"""Steps before the capture: libraries choose their algorithms and allocate in them."""


class GraphedStep:
    """Captures ``step``, which must neither wait for the device nor read from the host.

    The steps of the warm-up are real ones.
    """

    def __init__(self, step: Step) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._figures = step()

    def __call__(self) -> dict[str, Tensor]:
        """Takes a step; the figures' memory is the next step's too."""
        self._graph.replay()
        return self._figures
