"""The comparators' container: the header of ``qann_core.header``, then the payload.

The magic is ``QCMP``, the identifier one of ``COMPARATORS``, and the setting the comparator's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..bitstream import (
    HEADER_BYTES,
    Fields,
    check_length,
    check_model_id,
    check_size,
    opened,
    read_fields,
    sealed,
)
from ..errors import BitstreamError, ParameterError

MAGIC = b"QCMP"
COMPARATORS = {"daq": 1, "rq": 2}
"""Comparator ids in the file."""


@dataclass(frozen=True)
class Header:
    """What a comparator's file says about itself; see the module."""

    setting: int
    width: int
    height: int
    model_id: str


def pack(comparator: str, header: Header, payload: bytes) -> bytes:
    """The file.

    Raises:
        ParameterError: when the image's size or the model id does not fit the format.
    """
    check_size(header.width, header.height, ParameterError)
    check_model_id(header.model_id)
    identifier, size = COMPARATORS[comparator], (header.width, header.height)
    fields = Fields(identifier, header.model_id, header.setting, *size, len(payload))
    return sealed(MAGIC, fields, payload)


def unpack(comparator: str, data: bytes) -> tuple[Header, bytes]:
    """Header and payload of a file that this comparator made.

    Raises:
        BitstreamError: when it is not such a file, or is damaged.
    """
    fields = read_fields(data, MAGIC, "comparator's file")
    made_by = {number: name for name, number in COMPARATORS.items()}.get(fields.identifier)
    if made_by is None:
        raise BitstreamError(
            f"The file needs comparator {fields.identifier}, which is unknown here."
        )
    if made_by != comparator:
        raise BitstreamError(f"The file was made by {made_by}; {comparator} cannot read it.")
    check_size(fields.width, fields.height, BitstreamError)
    check_length(fields.payload_bytes, len(data) - HEADER_BYTES)
    return Header(fields.setting, fields.width, fields.height, fields.model_id), opened(data)
