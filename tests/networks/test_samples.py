"""Samples: every grey level survives, whatever the array's strides; what is out of range clips."""

import numpy as np
import torch

from qann_core.networks.samples import centred, pixels_of, rounded


def test_every_grey_level_comes_back() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = np.stack((grey, grey.T, grey[::-1]), 2)[:, ::-1]
    image.flags.writeable = False
    samples = centred(image[None])
    assert samples.shape == (1, 3, 16, 16)
    assert (samples.min().item(), samples.max().item()) == (-127.5, 127.5)
    assert np.array_equal(pixels_of(rounded(samples[0])), image)


def test_samples_are_rounded_and_clipped() -> None:
    image = torch.tensor([-200.0, 0.4, 200.0])[:, None, None]
    assert pixels_of(rounded(image)).tolist() == [[[0, 128, 255]]]
