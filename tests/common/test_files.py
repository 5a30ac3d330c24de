"""Finding images in folders, and writing results wholly or not at all."""

import os
import signal
import stat
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from qann_core.common.errors import ParameterError, one_line
from qann_core.common.files import (
    check_target,
    find_images,
    listed_paths,
    staging_folder,
    write_bytes_atomically,
)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


class TestFindingImages:
    def test_companions_and_hidden_files_are_skipped(self, tmp_path):
        seen = [touch(tmp_path / name) for name in ("a/one.PNG", "a/two.jfif", "b/one.png")]
        for name in ("._one.png", "a/._two.jfif", ".hidden.png", ".trash/three.png", "a/four.txt"):
            touch(tmp_path / name)
        assert find_images([tmp_path]) == seen

    def test_hidden_parents_of_the_folder_do_not_matter(self, tmp_path):
        image = touch(tmp_path / ".cache" / "photos" / "one.png")
        assert find_images([image.parent]) == [image]

    def test_links_to_files_are_followed_and_dangling_ones_are_not(self, tmp_path):
        image = touch(tmp_path / "elsewhere" / "photo.png")
        folder = tmp_path / "photos"
        folder.mkdir()
        (folder / "link.png").symlink_to(image)
        (folder / "gone.png").symlink_to(tmp_path / "none.png")
        (folder / "loop").symlink_to(folder)
        assert find_images([folder]) == [folder / "link.png"]
        with pytest.raises(ParameterError, match="No images"):
            find_images([folder], [image])

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("form", ["NFC", "NFD"])
    def test_excluded_names_in_any_writing(self, tmp_path, mark, form):
        kept, left_out = touch(tmp_path / "a.png"), touch(tmp_path / "écluse 写真.png")
        written = unicodedata.normalize(form, str(left_out))
        file = tmp_path / "list.txt"
        file.write_bytes(mark + f"{written}\r\n\r\n{tmp_path / 'none.png'}\n".encode())
        assert find_images([tmp_path], listed_paths(file)) == [kept]

    def test_a_list_in_another_encoding_or_missing_is_refused(self, tmp_path):
        file = tmp_path / "list.txt"
        file.write_bytes("é.png".encode("utf-16"))
        with pytest.raises(ParameterError, match="UTF-8"):
            listed_paths(file)
        with pytest.raises(ParameterError, match="cannot be read"):
            listed_paths(tmp_path / "none.txt")
        assert listed_paths(None) == []


class TestCheckingTargets:
    def test_what_could_not_be_written_is_refused(self, tmp_path):
        file = touch(tmp_path / "a.qann")
        for path, words in (
            (tmp_path, "is a folder"),
            (file, "exists already"),
            (tmp_path / "none" / "b.qann", "does not exist"),
            (tmp_path / "b.png", r"must end in \.qann"),
        ):
            with pytest.raises(ParameterError, match=words):
                check_target(path, False, extensions=[".qann"] if path != tmp_path else [])
        check_target(file, True, [tmp_path / "none.png"], [".qann"])
        check_target(tmp_path / "B.QANN", False, extensions=[".qann"])

    @pytest.mark.parametrize("link", ["same", "hard", "symbolic", "through a folder"])
    def test_the_file_that_is_read_is_never_the_target(self, tmp_path, link):
        source = touch(tmp_path / "photos" / "photo.png")
        target = tmp_path / "other.png"
        if link == "same":
            target = source.parent / ".." / "photos" / "photo.png"
        elif link == "hard":
            os.link(source, target)
        elif link == "symbolic":
            target.symlink_to(source)
        else:
            (tmp_path / "linked").symlink_to(source.parent)
            target = tmp_path / "linked" / "photo.png"
        with pytest.raises(ParameterError, match="is the file that is read"):
            check_target(target, True, [source])

    def test_a_link_to_a_new_file_in_a_folder_that_exists(self, tmp_path):
        (tmp_path / "link.qann").symlink_to(tmp_path / "none" / "new.qann")
        with pytest.raises(ParameterError, match="does not exist"):
            check_target(tmp_path / "link.qann", True)


class TestWriting:
    def test_existing_file_is_kept_without_force(self, tmp_path):
        path = tmp_path / "out.qann"
        write_bytes_atomically(path, b"first")
        with pytest.raises(ParameterError, match="exists already"):
            write_bytes_atomically(path, b"second")
        assert path.read_bytes() == b"first"
        write_bytes_atomically(path, b"second", force=True)
        assert path.read_bytes() == b"second"
        assert [p.name for p in tmp_path.iterdir()] == ["out.qann"]

    def test_file_that_appears_meanwhile_is_kept(self, tmp_path, monkeypatch):
        path, sync = tmp_path / "out.qann", os.fsync

        def other_program(descriptor):
            sync(descriptor)
            path.write_bytes(b"other")

        monkeypatch.setattr(os, "fsync", other_program)
        with pytest.raises(ParameterError, match="exists already"):
            write_bytes_atomically(path, b"mine")
        assert path.read_bytes() == b"other"
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize("exception", [OSError(28, "No space left on device"),
                                           KeyboardInterrupt()])  # fmt: skip
    def test_failure_leaves_the_old_file_and_no_other(self, tmp_path, monkeypatch, exception):
        path = tmp_path / "out.qann"
        path.write_bytes(b"old")

        def fail(_):
            raise exception

        monkeypatch.setattr(os, "fsync", fail)
        expected = ParameterError if isinstance(exception, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            write_bytes_atomically(path, b"new", force=True)
        assert path.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 1

    def test_without_hard_links(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        write_bytes_atomically(tmp_path / "out.qann", b"data")
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"data"]

    def test_bad_targets(self, tmp_path):
        with pytest.raises(ParameterError, match="does not exist"):
            write_bytes_atomically(tmp_path / "none" / "a.qann", b"x")
        for target in (tmp_path, "/dev/null"):
            with pytest.raises(ParameterError, match="regular file"):
                write_bytes_atomically(target, b"x", force=True)

    def test_permissions_follow_the_umask_and_links_are_followed(self, tmp_path):
        real, link = tmp_path / "real.qann", tmp_path / "link.qann"
        write_bytes_atomically(real, b"1")
        plain = tmp_path / "plain"
        plain.write_bytes(b"1")
        assert stat.S_IMODE(real.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
        link.symlink_to(real)
        write_bytes_atomically(link, b"2", force=True)
        assert link.is_symlink() and real.read_bytes() == b"2"

    def test_force_keeps_the_mode(self, tmp_path):
        path = touch(tmp_path / "out.qann")
        for mode in (0o600, 0o640, 0o755):
            path.chmod(mode)
            write_bytes_atomically(path, b"new", force=True)
            assert stat.S_IMODE(path.stat().st_mode) == mode

    @pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a signal")
    @pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_termination_leaves_no_temporary_file(self, tmp_path, name, what):
        program = f"""
import os, signal, sys
signal.signal(signal.{name}, signal.SIG_DFL)  # also where the tests' own parent ignores it
from qann_core.common.files import staging_folder, write_bytes_atomically
def terminated(_):
    os.kill(os.getpid(), signal.{name})
os.fsync = terminated
if {what!r} == "file":
    write_bytes_atomically(sys.argv[1], b"data")
else:
    with staging_folder(sys.argv[1]) as folder:
        (folder / "part").write_bytes(b"data")
        terminated(0)
"""
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out")])
        assert done.returncode == -getattr(signal, name)
        assert list(tmp_path.iterdir()) == []

    def test_handlers_are_as_before(self, tmp_path):
        before = signal.getsignal(signal.SIGTERM)
        write_bytes_atomically(tmp_path / "out", b"data")
        assert signal.getsignal(signal.SIGTERM) is before


class TestStaging:
    def test_a_folder_beside_the_target_that_goes(self, tmp_path):
        target = tmp_path / "models" / "mine"
        with staging_folder(target) as staged:
            assert staged.parent == target.parent and not target.exists()
            (staged / "part").write_bytes(b"1")
        assert list(target.parent.iterdir()) == []

    @pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
    def test_a_failure_leaves_nothing(self, tmp_path, error):
        with pytest.raises(type(error)), staging_folder(tmp_path / "model") as staged:
            (staged / "part").write_bytes(b"1")
            raise error
        assert list(tmp_path.iterdir()) == []

    def test_where_it_cannot_be_made(self, tmp_path):
        file = touch(tmp_path / "file")
        refused = pytest.raises(ParameterError, match="cannot be written")
        with refused, staging_folder(file / "model"):
            pass


def test_names_that_do_not_print_take_one_line():
    assert one_line("a\nb\x1b[31m \udce9 é 写.png") == "a\\nb\\x1b[31m \\udce9 é 写.png"
