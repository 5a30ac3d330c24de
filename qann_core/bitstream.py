"""The .qann container: the 24-byte header of ``header.py``, then the entropy coder's payload.

The magic is ``QANN``, the identifier the entropy coder's (``entropy.CODER_NAMES``), and the setting
N, the number of distinct values that the latents may take. The shapes of the latents are not
stored: they follow from the image's size (``band_shapes``). Nothing here imports torch before
latents are really built, so that reading a header is quick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import entropy, tensor_coder
from .errors import BitstreamError, ParameterError
from .header import (
    HEADER_BYTES,
    VERSION,
    Fields,
    check_length,
    check_model_id,
    check_size,
    opened,
    read_fields,
    sealed,
)
from .limits import MAX_LEVELS, MAX_TENSOR_LEVELS, MIN_LEVELS, MIN_TENSOR_LEVELS

if TYPE_CHECKING:
    from .prior_weights import Prior
    from .quantization import QuantizedLatents
    from .tensor_quantization import QuantizedTensor

MAGIC = b"QANN"
_WAVELET_LEVELS = 4


@dataclass(frozen=True)
class Header:
    """What a .qann file says about itself.

    Attributes:
        version: container version.
        width, height: size of the image in pixels, before padding.
        levels: N, the number of distinct values that the latents may take.
        coder_id, coder: the entropy coder's number in the file and its name.
        model_id: 8 hexadecimal digits naming the weights that made the latents.
        payload_bytes, total_bytes: size of the coded latents and of the whole file.
    """

    version: int
    width: int
    height: int
    levels: int
    coder_id: int
    coder: str
    model_id: str
    payload_bytes: int
    total_bytes: int

    @property
    def bits_per_pixel(self) -> float:
        """Rate of the whole file, header included."""
        return 8 * self.total_bytes / (self.width * self.height)


def band_shapes(height: int, width: int) -> tuple[tuple[int, int, int], ...]:
    """Shapes (C, H, W) of the latents, coarse to fine, of an image of this size in pixels.

    The same as ``wavelet.pyramid_shapes``, which needs torch.
    """
    block = 2**_WAVELET_LEVELS
    rows, columns = -(-height // block), -(-width // block)
    details = ((9, rows << level, columns << level) for level in range(_WAVELET_LEVELS))
    return ((3, rows, columns), *details)


def pack(latents: QuantizedLatents, coder: str = "brotli", prior: Prior | None = None) -> bytes:
    """Quantized latents to the bytes of a .qann file.

    Args:
        coder: "brotli", or "prior" for the learned prior.
        prior: what the prior coder is to use; by default, the prior of the latents' model, which
            must then be a bundled one.

    Raises:
        ModelError: when a prior is needed and not there, or this machine cannot use it.
        ParameterError: when the coder's name is unknown, or the latents do not fit the format
            (size, N, model id, shapes, or integers outside ``levels_range(N)``).
    """
    if coder == "prior" and prior is None:
        from .prior_weights import prior_of_model

        prior = prior_of_model(latents.model_id)
    chosen = entropy.coder_by_name(coder, prior)
    _check_latents(latents)
    return _container(chosen.id, latents, chosen.encode(latents.bands, latents.levels))


def pack_tensor(latents: QuantizedTensor) -> bytes:
    """The quantized latents of a tensor codec to the bytes of a .qann file.

    Raises:
        ParameterError: when they do not fit the format (size, N, model id, shape, integers
            outside 0 to N - 1, values that are not finite).
    """
    _check_levels(latents.levels, ParameterError, tensor_coder.ID)
    check_size(latents.width, latents.height, ParameterError)
    check_model_id(latents.model_id)
    _check_tensor(latents)
    return _container(
        tensor_coder.ID, latents, tensor_coder.encode(latents.payload, latents.levels)
    )


def _container(coder_id: int, latents: QuantizedLatents | QuantizedTensor, payload: bytes) -> bytes:
    fields = Fields(
        coder_id, latents.model_id, latents.levels, latents.width, latents.height, len(payload)
    )
    return sealed(MAGIC, fields, payload)


def unpack(data: bytes, prior: Prior | None = None) -> QuantizedLatents | QuantizedTensor:
    """The bytes of a .qann file to quantized latents, of the kind that its coder id tells.

    Args:
        prior: used where the file names it; any other prior must be a bundled one.

    Raises:
        ModelError: when the file needs a prior that is not here, or this machine cannot use it.
        BitstreamError: when the file is not a .qann file, is damaged, or needs a newer version.
    """
    header = read_header(data)
    payload = opened(data)
    if header.coder_id == tensor_coder.ID:
        return _unpack_tensor(header, payload)
    shapes = band_shapes(header.height, header.width)
    coder = entropy.coder_by_id(header.coder_id, prior)
    bands = coder.decode(payload, shapes, header.levels)

    from .quantization import QuantizedLatents  # torch comes with it: only now is it needed

    return QuantizedLatents(bands, header.levels, header.height, header.width, header.model_id)


def _unpack_tensor(header: Header, payload: bytes) -> QuantizedTensor:
    decoded = tensor_coder.decode(payload, header.levels, header.height, header.width)

    from .tensor_quantization import QuantizedTensor  # torch comes with it

    return QuantizedTensor(decoded, header.levels, header.height, header.width, header.model_id)


def read_header(data: bytes) -> Header:
    """What the first 24 bytes say, checked against every limit; the payload is not decoded.

    Args:
        data: the whole file: its length is compared with the header's.

    Raises:
        BitstreamError: when the header is not one of a complete .qann file.
    """
    fields = read_fields(data, MAGIC, ".qann file")
    name = entropy.coder_name(fields.identifier)
    _check_levels(fields.setting, BitstreamError, fields.identifier)
    check_size(fields.width, fields.height, BitstreamError)
    check_length(fields.payload_bytes, len(data) - HEADER_BYTES)
    return Header(
        VERSION, fields.width, fields.height, fields.setting, fields.identifier, name,
        fields.model_id, fields.payload_bytes, len(data),
    )  # fmt: skip


def _check_levels(
    levels: int, error: type[BitstreamError] | type[ParameterError], coder_id: int = 1
) -> None:
    is_tensor = coder_id == tensor_coder.ID
    low, high = (MIN_TENSOR_LEVELS, MAX_TENSOR_LEVELS) if is_tensor else (MIN_LEVELS, MAX_LEVELS)
    if not low <= levels <= high:
        raise error(f"N is {levels}; it must be from {low} to {high}.")


def _check_latents(latents: QuantizedLatents) -> None:
    """Raises ParameterError for latents that the container could not give back."""
    _check_levels(latents.levels, ParameterError)
    check_size(latents.width, latents.height, ParameterError)
    check_model_id(latents.model_id)
    shapes = tuple(band.shape for band in latents.bands)
    wanted = band_shapes(latents.height, latents.width)
    if shapes != wanted:
        raise ParameterError(f"The latents have shapes {shapes}; this image's are {wanted}.")
    low, high = entropy.integer_range(latents.levels)
    for band in latents.bands:
        if band.min() < low or band.max() > high:
            raise ParameterError(
                f"The latents reach from {band.min()} to {band.max()}; N = {latents.levels} "
                f"allows {low} to {high}."
            )


def _check_tensor(latents: QuantizedTensor) -> None:
    """Raises ParameterError for one tensor that the container could not give back."""
    payload = latents.payload
    shape, count = payload.integers.shape, payload.integers.shape[0]
    wanted = tensor_coder.latent_shape(count, payload.factor, latents.height, latents.width)
    if shape != wanted:
        raise ParameterError(f"The latents have shape {shape}; this image's have {wanted}.")
    if payload.integers.min() < 0 or payload.integers.max() >= latents.levels:
        raise ParameterError(
            f"The latents reach from {payload.integers.min()} to {payload.integers.max()}; "
            f"N = {latents.levels} allows 0 to {latents.levels - 1}."
        )
    try:
        tensor_coder.check_head(count, payload.factor, payload.low, payload.step)
    except BitstreamError as error:
        raise ParameterError(str(error)) from error
