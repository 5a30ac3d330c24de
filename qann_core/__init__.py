"""QANN, a lossy image codec you can look inside.

>>> from qann_core import Codec, read_image
>>> codec = Codec.load()
>>> latents = codec.encode(read_image("photo.jpg").pixels)
>>> data = codec.pack(latents, levels=96)
>>> pixels = codec.decode(codec.unpack(data))

Names are imported when first used, so that importing the package stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .common.errors import BitstreamError, ImageError, ModelError, ParameterError, QannError

if TYPE_CHECKING:
    from .bitstream import Header, read_header
    from .codec import Codec, Latents, compress, decompress
    from .images import LoadedImage, read_image, write_image
    from .quantization import QuantizedLatents

__version__ = "0.3.1"

_LAZY = {
    "Codec": "codec",
    "Header": "bitstream",
    "Latents": "codec",
    "LoadedImage": "images",
    "QuantizedLatents": "quantization",
    "compress": "codec",
    "decompress": "codec",
    "read_header": "bitstream",
    "read_image": "images",
    "write_image": "images",
}

__all__ = [
    "BitstreamError",
    "Codec",
    "Header",
    "ImageError",
    "Latents",
    "LoadedImage",
    "ModelError",
    "ParameterError",
    "QannError",
    "QuantizedLatents",
    "compress",
    "decompress",
    "read_header",
    "read_image",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
