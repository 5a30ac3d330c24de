"""Images as the networks have them, float samples around zero, and back to 8-bit pixels."""

import numpy as np
import torch
from torch import Tensor


def centred(images: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) minus 127.5, laid out channels last."""
    samples = torch.tensor(np.ascontiguousarray(images), dtype=torch.float32)
    return samples.permute(0, 3, 1, 2) - 127.5


def pixels_of(image: Tensor) -> np.ndarray:
    """Samples (3, H, W) on any device -> an image (H, W, 3) of the same type."""
    return np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())


def rounded(image: Tensor) -> Tensor:
    """Centred float samples -> uint8, rounded and clipped."""
    return image.add(127.5).round_().clamp_(0, 255).to(torch.uint8)
