"""Files on disk: finding images in folders, and writing results wholly or not at all."""

import os
import secrets
import signal
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from .errors import ParameterError
from .signals import handled

IMAGE_EXTENSIONS = {
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif", ".hif", ".tif", ".tiff",
    ".gif", ".bmp",
}  # fmt: skip
"""File name extensions, in lower case, of what a walk through folders takes for an image."""


def find_images(folders: Sequence[Path], exclude: Iterable[Path] = ()) -> list[Path]:
    """Image files below the folders, sorted within each, without those in ``exclude``.

    Hidden files and folders are skipped, and with them the ``._*`` companions that macOS leaves
    beside files on foreign disks. Links to files are followed, links to folders are not.

    Args:
        exclude: paths of files to leave out; a name is the same in any Unicode normal form.

    Raises:
        ParameterError: when a folder does not exist or none of them holds an image.
    """
    excluded = {_identity(path) for path in exclude}
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise ParameterError(f"{folder} is not a folder; give a folder of images.")
        images = map(Path, visible_files(folder, is_image_name))
        found += sorted(p for p in images if p.is_file() and _identity(p) not in excluded)
    if not found:
        raise ParameterError(f"No images were found below {', '.join(map(str, folders))}.")
    return found


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return Path(name).suffix.lower() in IMAGE_EXTENSIONS


def visible_files(folder: str | Path, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Paths of the files below a folder whose names are ``wanted``, but for hidden ones and those
    in hidden folders; a link to a folder is not followed, one to nothing is a file."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and wanted(name):
                yield os.path.join(parent, name)


def _identity(path: Path) -> str:
    """Equal for two paths of one file, however its name's accents are composed."""
    return unicodedata.normalize("NFC", os.path.realpath(path))


def listed_paths(file: Path | None) -> list[Path]:
    """The paths in a text file, one a line; none without a file.

    The text is UTF-8; a byte order mark at its start, as Windows editors write it, is no part of
    the first path.

    Raises:
        ParameterError: when the file cannot be read or is not UTF-8.
    """
    if file is None:
        return []
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParameterError(f"{file} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise ParameterError(f"{file} cannot be read: {error.strerror or error}.") from error
    return [Path(line) for line in text.splitlines() if line.strip()]


def check_target(
    path: Path, force: bool, inputs: Iterable[Path] = (), extensions: Iterable[str] = ()
) -> None:
    """Refuses early, before any work, a result that could not be written later.

    Args:
        force: a file that exists may be overwritten.
        inputs: files that are read, which the result must not replace, under whatever name or
            link.
        extensions: what the name may end in, in lower case; anything when empty.

    Raises:
        ParameterError: when it would be refused.
    """
    extensions = tuple(extensions)
    if path.is_dir():
        raise ParameterError(f"{path} is a folder; name a file to write.")
    if extensions and path.suffix.lower() not in extensions:
        choice = extensions[0] if len(extensions) == 1 else f"one of {', '.join(extensions)}"
        raise ParameterError(f"{path} must end in {choice}.")
    for source in inputs:
        if _is_same_file(path, source):
            raise ParameterError(
                f"{path} is the file that is read, {source}; write to another, so that it is kept."
            )
    if path.exists() and not path.is_file():
        raise ParameterError(f"{path} is not a regular file; name a file to write.")
    if path.exists() and not force:
        raise ParameterError(f"{path} exists already; use --force to overwrite it.")
    parent = Path(os.path.realpath(path)).parent
    if not parent.is_dir():
        raise ParameterError(f"The folder {parent} does not exist; create it.")
    if not os.access(parent, os.W_OK):
        raise ParameterError(f"The folder {parent} may not be written to; choose another.")


def _is_same_file(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:  # one of them does not exist
        return False


def write_bytes_atomically(path: str | Path, data: bytes, force: bool = False) -> None:
    """Writes a file so that at any moment it is absent, as it was, or complete.

    The data go to a temporary file in the same folder, are flushed to the disk, and only then
    take the name. Without ``force``, a file of that name stays as it is, even if another program
    creates it meanwhile; with it, the new file keeps the old one's permissions. A symbolic link
    is followed. A request to terminate removes the temporary file first.

    Raises:
        ParameterError: when the file exists and ``force`` is false, is not a regular file, or
            its folder cannot be written to.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise ParameterError(f"{path} is not a regular file; name a file to write.")
    if target.exists() and not force:
        raise _already_exists(path)
    # Not tempfile: its files are readable by their owner alone, whatever the umask says.
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    with _termination_raises():
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if force:
                with suppress(FileNotFoundError):  # the permissions of an old file stay
                    temporary.chmod(stat.S_IMODE(target.stat().st_mode))
                os.replace(temporary, target)
            else:
                _take_free_name(temporary, target)
        except FileExistsError as error:
            raise _already_exists(path) from error
        except FileNotFoundError as error:
            raise ParameterError(
                f"The folder {target.parent} does not exist; create it."
            ) from error
        except OSError as error:
            raise ParameterError(f"{path} cannot be written: {error.strerror or error}.") from error
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def staging_folder(target: str | Path) -> Iterator[Path]:
    """An empty folder beside ``target``, on the same disk, in which a result is made ready.

    Whatever is left of it goes when the block ends, by an exception or a request to terminate too.

    Raises:
        ParameterError: when it cannot be made.
    """
    parent = Path(os.path.realpath(target)).parent
    with _termination_raises(), ExitStack() as stack:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder = TemporaryDirectory(prefix=".", suffix=".tmp", dir=parent)
        except OSError as error:
            raise ParameterError(
                f"{target} cannot be written: {error.strerror or error}."
            ) from error
        yield Path(stack.enter_context(folder))


class _Terminated(BaseException):
    """SIGTERM or SIGHUP came; like KeyboardInterrupt, not an Exception."""


@contextmanager
def _termination_raises() -> Iterator[None]:
    """Lets clean-up run when the process is asked to terminate, and then terminates it.

    Only where Python lets it: in the main thread, and for signals that nobody handles yet.
    """
    found = (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
    numbers = [n for n in found if n is not None and signal.getsignal(n) is signal.SIG_DFL]

    def terminate(number: int, frame: FrameType | None) -> None:
        for other in numbers:  # a second request must not interrupt the clean-up
            signal.signal(other, signal.SIG_IGN)
        raise _Terminated(number)

    try:
        with handled(terminate, *numbers):
            yield
    except _Terminated as error:
        signal.raise_signal(error.args[0])
        raise


def _already_exists(path: str | Path) -> ParameterError:
    return ParameterError(f"{path} exists already; choose another name or force overwriting.")


def _take_free_name(temporary: Path, target: Path) -> None:
    """Gives the file its name unless the name is taken (FileExistsError), in one step."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no hard links; there, a short race is left
        if target.exists():
            raise FileExistsError(target) from None
        os.replace(temporary, target)
