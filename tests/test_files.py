"""Files that appear whole or not at all, and targets that are found wanting before the work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cosyrt.files import cache_folder, check_target, create_file, data_folder, replace_file


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """The new bytes under the old name; also under the longest names that a file system takes."""
    for name in ("a.wav", "好" * 83 + ".wav", "x" * 251 + ".wav"):
        path = tmp_path / name
        for data in (b"older", b"new"):
            replace_file(path, data)
        assert path.read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """A name that is taken stays as it is; also where the file system has no links."""

    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    create_file(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "a", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"first"


def test_a_good_target_is_left_as_it_was(tmp_path: Path) -> None:
    """Looking makes nothing and changes nothing."""
    (tmp_path / "there").write_bytes(b"mine")
    check_target(tmp_path / "there")
    check_target(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["folder", "missing/new", "file/new", "x" * 300, "好" * 100])
def test_what_could_not_be_written_is_told(tmp_path: Path, name: str) -> None:
    """A folder of that name, no folder to write in, a name too long: both fail in the same way."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError) as when_written:
        replace_file(tmp_path / name, b"data")
    with pytest.raises(OSError) as before:
        check_target(tmp_path / name)
    assert before.value.errno == when_written.value.errno


def homeless(*_: object, **__: object) -> Path:
    """platformdirs of a user without a home folder: recent releases raise, older ones give this."""
    return Path("~/.cache/cosyrt")


def test_the_cache_of_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found there and nothing can be written, rather than files in the current folder."""
    monkeypatch.delenv("COSYRT_PLANS")
    monkeypatch.setattr("platformdirs.user_cache_path", homeless)
    assert not (cache_folder() / "plans").exists()
    with pytest.raises(OSError):
        (cache_folder() / "plans").mkdir(parents=True)

    monkeypatch.setattr("platformdirs.user_data_path", homeless)
    with pytest.raises(RuntimeError):
        data_folder()


def test_the_cache_lies_beside_the_plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """COSYRT_PLANS moves all that is kept."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    assert cache_folder() == tmp_path
