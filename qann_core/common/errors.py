"""Every error that the codec raises on purpose; catch ``QannError`` to catch them all."""


class QannError(Exception):
    """Base of all errors raised on purpose. Its text is one sentence meant for the user."""


class ImageError(QannError):
    """The input is not an image that can be read, or it is too large."""


class BitstreamError(QannError):
    """The file is not a .qann file, is damaged, or needs a newer version."""


class ModelError(QannError):
    """The weights that a file or a command asks for cannot be found or used."""


class ParameterError(QannError):
    """An argument is outside what is allowed."""


class TrainingError(QannError):
    """A training run cannot go on."""


def one_line(text: object) -> str:
    """Text for one line of a terminal: what does not print (line breaks, escape sequences, halves
    of characters that a file's name may hold) is shown as its code, such as ``\\x1b``."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in str(text)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy, Pillow or PyTorch ran out of memory; PyTorch has no class for it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text
