"""SSIMULACRA 2 against the package of that name, its gradient, and where it is undefined."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from qann_core import metrics
from qann_core.common import limits
from qann_core.common.errors import ParameterError
from qann_core.images import read_image
from qann_core.networks.samples import centred
from qann_core.perceptual import ssimulacra2

SIDE = limits.SSIMULACRA2_MIN_SIDE


def as_jpeg(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def score_of_the_package(a, b):
    package = pytest.importorskip("ssimulacra2")
    files = io.BytesIO(), io.BytesIO()
    for image, file in zip((a, b), files, strict=True):
        Image.fromarray(image).save(file, "BMP")
        file.seek(0)
    return package.compute_ssimulacra2(*files)


@pytest.mark.parametrize("quality", [8, 50, 92])
@pytest.mark.parametrize("name", ["page", "stream"])
def test_agrees_with_the_package(examples, name, quality):
    photo = read_image(examples / f"{name}.jpg").pixels[:301, :431]  # odd sides at most scales
    worse = as_jpeg(photo, quality)
    expected = score_of_the_package(photo, worse)
    assert metrics.ssimulacra2(photo, worse) == pytest.approx(expected, abs=0.05)


def test_equal_images_score_100(examples):
    photo = centred(read_image(examples / "facade.jpg").pixels[None, :256, :256])
    pictures = torch.cat((photo, photo + 3))
    scores = ssimulacra2(photo.expand(2, -1, -1, -1), pictures)
    assert scores[0] == 100 and scores[1] < 99


def test_each_picture_of_a_batch_is_scored_alone():
    generator = torch.Generator().manual_seed(1)
    references = 60 * torch.randn(2, 3, SIDE, SIDE + 30, generator=generator).cumsum(-1) / 20
    pictures = references + 4 * torch.randn(references.shape, generator=generator)
    alone = [ssimulacra2(a[None], b[None]) for a, b in zip(references, pictures, strict=True)]
    torch.testing.assert_close(ssimulacra2(references, pictures), torch.cat(alone))


def test_gradient_predicts_a_small_change(examples):
    reference = centred(read_image(examples / "facade.jpg").pixels[None, 100:340, 100:340])
    generator = torch.Generator().manual_seed(2)
    picture = reference + 8 * torch.randn(reference.shape, generator=generator)
    picture = picture.clamp(-127, 127).requires_grad_(True)
    score = ssimulacra2(reference, picture).sum()
    (gradient,) = torch.autograd.grad(score, picture)
    step = 0.05 * gradient / gradient.abs().mean()
    with torch.no_grad():
        change = ssimulacra2(reference, picture + step) - ssimulacra2(reference, picture - step)
    assert float(change) == pytest.approx(2 * float((gradient * step).sum()), rel=0.05)


def test_gradient_is_finite_where_the_pictures_are_equal():
    reference = torch.full((1, 3, SIDE, SIDE), -127.5)
    picture = reference.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(ssimulacra2(reference, picture).sum(), picture)
    assert gradient.isfinite().all()


def test_a_measurement_in_inference_mode_leaves_training_possible():
    flat = torch.zeros(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        ssimulacra2(flat, flat)
    picture = (flat + 1).requires_grad_(True)
    ssimulacra2(flat, picture).sum().backward()
    assert picture.grad is not None


@pytest.mark.parametrize(
    "shapes",
    [((1, 3, SIDE - 1, 300),) * 2, ((1, 3, 300, 300), (1, 3, 300, 301)), ((1, 1, 300, 300),) * 2],
)
def test_pictures_without_a_score_are_refused(shapes):
    with pytest.raises(ParameterError):
        ssimulacra2(*(torch.zeros(shape) for shape in shapes))
    if shapes[0][1] == 3 and shapes[0] == shapes[1]:
        small = np.zeros((SIDE - 1, 300, 3), np.uint8)
        with pytest.raises(ParameterError, match=str(SIDE)):
            metrics.ssimulacra2(small, small)
