"""The checksum of a .qann file: CRC-32 (ISO-HDLC, as in PNG)."""

import zlib

from .common.errors import BitstreamError


def checksum(fields: bytes, rest: bytes) -> int:
    """CRC-32 of the header's other fields and of all that follows the header."""
    return zlib.crc32(rest, zlib.crc32(fields))


def check_checksum(stored: int, fields: bytes, rest: bytes) -> None:
    """Raises BitstreamError where a file's checksum is not the one stored in it."""
    actual = checksum(fields, rest)
    if stored != actual:
        raise BitstreamError(
            f"The file is damaged: its checksum is {actual:08x} and should be {stored:08x}."
        )
