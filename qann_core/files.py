"""Files on disk: finding images in folders, and checking early that a result can be written."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import ParameterError

IMAGE_EXTENSIONS = {
    ".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp",
}  # fmt: skip


def find_images(folders: Sequence[Path], exclude: Iterable[Path] = ()) -> list[Path]:
    """Image files below the folders, sorted, without those in ``exclude`` and without links.

    Raises:
        ParameterError: when a folder does not exist or none of them holds an image.
    """
    excluded = {path.resolve() for path in exclude}
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise ParameterError(f"{folder} is not a folder; give a folder of images.")
        found += (
            path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in IMAGE_EXTENSIONS
            and path.is_file()
            and not path.is_symlink()
            and path.resolve() not in excluded
        )
    if not found:
        raise ParameterError(f"No images were found below {', '.join(map(str, folders))}.")
    return found


def listed_paths(file: Path | None) -> list[Path]:
    """The paths in a text file, one a line; none without a file."""
    if file is None:
        return []
    return [Path(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def check_target(path: Path, force: bool) -> None:
    """Refuses early, before any work, a result that could not be written later.

    Raises:
        ParameterError: when the file exists and ``force`` is false, or its folder does not exist.
    """
    if path.exists() and not force:
        raise ParameterError(f"{path} exists already; use --force to overwrite it.")
    if not path.absolute().parent.is_dir():
        raise ParameterError(f"The folder {path.absolute().parent} does not exist; create it.")
