"""Photos for training: how they are split, what is skipped and why, sizes and crops."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qann_core.common.errors import ParameterError
from qann_core.common.files import find_images
from qann_core.training.data import CropStream, downscaled, load_photos


def paint(path: Path, side: int = 16, grey: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (side, side), grey).save(path)
    return path


def test_one_in_forty_is_for_validation_on_any_layout_of_folders(tmp_path: Path) -> None:
    flat = [paint(tmp_path / "flat" / f"{i:03}.png") for i in range(120)]
    same_names = [paint(tmp_path / "named" / f"s{i:03}" / "color.png") for i in range(120)]
    for paths in (flat, same_names):
        photos = load_photos(paths, 16)
        assert (len(photos.training), len(photos.validation)) == (117, 3)


def test_photos_of_one_name_in_several_folders_are_split_apart(tmp_path: Path) -> None:
    folders = [tmp_path / f"s{i}" for i in range(6)]
    for index, folder in enumerate(folders):
        paint(folder / "color.png", grey=index)
    for given in ([tmp_path], folders):
        assert len(load_photos(find_images(given), 16).training) == 6


@pytest.mark.parametrize("name", ["IMG_0039.png", *(f"{i}.png" for i in range(8))])
def test_a_single_photo_is_trained_on(name: str, tmp_path: Path) -> None:
    photos = load_photos([paint(tmp_path / name)], 16)
    assert len(photos.training) == 1 and not photos.validation


def test_the_split_does_not_depend_on_where_the_photos_lie(tmp_path: Path) -> None:
    kept = []
    for place in ("here", "there/deeper"):
        paths = [paint(tmp_path / place / "a" / f"{i}.png", grey=i) for i in range(40)]
        kept.append([int(p[0, 0, 0]) for p in load_photos(paths[::-1], 16).validation])
    assert kept[0] == kept[1] and len(kept[0]) == 1


def test_what_is_skipped_is_counted_and_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    paths = [tmp_path / "broken.png", paint(tmp_path / "tiny.png", 8), paint(tmp_path / "good.png")]
    said = "\n".join(load_photos(paths, 16).notes)
    assert "1 photos for training, 0 for validation; of 3 files 2 skipped." in said
    assert "1 not usable as images" in said and "broken.png is not an image" in said
    assert "1 with a side of less than 16 pixels" in said and "tiny.png" in said
    with pytest.raises(ParameterError, match=r"broken\.png") as refused:
        load_photos(paths[:1], 16)
    assert "side" not in str(refused.value), "nothing here is too small"


def test_no_photo_is_called_too_small_that_is_not(tmp_path: Path) -> None:
    exact = np.zeros((64, 80, 3), np.uint8)
    assert [v.shape for v in downscaled(exact, True, 64)] == [exact.shape]


def test_many_skipped_files_are_counted(tmp_path: Path) -> None:
    paths = [paint(tmp_path / f"{i}.png", 8) for i in range(9)]
    with pytest.raises(ParameterError, match=r"9 with a side of less than 16.*and 4 more"):
        load_photos(paths, 16)


def test_small_jpegs_shrink_and_large_photos_come_in_several_sizes() -> None:
    small = np.zeros((375, 500, 3), np.uint8)
    assert [v.shape[:2] for v in downscaled(small, True, 256)] == [(300, 400)]
    assert [v.shape[:2] for v in downscaled(small, False, 256)] == [(375, 500)]
    large = np.zeros((2000, 3000, 3), np.uint8)
    assert [max(v.shape) for v in downscaled(large, True, 256)] == [1800, 1100, 700]
    assert downscaled(np.zeros((100, 400, 3), np.uint8), True, 256) == []


def test_crops_come_from_the_photos(photo: np.ndarray) -> None:
    stream = CropStream((photo, photo[::-1]), 32, 3, seed=5)
    first, second = stream.next(), stream.next()
    assert first.shape == (3, 3, 32, 32) and not (first == second).all()
    again = CropStream((photo, photo[::-1]), 32, 3, seed=5)
    assert (again.next() == first).all()
