"""What several test files share: a small photo-like image and the bundled codec."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qann_core import Codec

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples"


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the bundled photos."""
    return EXAMPLES


@pytest.fixture(scope="session")
def codec() -> Codec:
    """The default model, loaded once."""
    return Codec.load()


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A real photo with odd sides, uint8 (133, 203, 3)."""
    with Image.open(EXAMPLES / "facade.jpg") as image:
        return np.array(image.convert("RGB").resize((203, 133), Image.Resampling.LANCZOS))
