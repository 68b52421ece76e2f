"""Files that appear whole or not at all, and targets that are found wanting before the work."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosyrt.files import cache_folder, check_target, create_file, data_folder, locked, replace_file


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


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that a link stands for is written, through several links, also where it is not there yet."""
    (tmp_path / "far").mkdir()
    for name, target in (("a", "b"), ("b", "far/c"), ("new", "far/d")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "far" / "c").write_bytes(b"older")
    for name, target in (("a", "c"), ("new", "d")):
        check_target(tmp_path / name)
        replace_file(tmp_path / name, b"data")
        assert (tmp_path / name).is_symlink() and (tmp_path / "far" / target).read_bytes() == b"data"
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["c", "d"]


def test_all_names_of_a_file_stand_for_the_new_one(tmp_path: Path) -> None:
    """A hard link is written to, and never parted from the other names."""
    (tmp_path / "a").write_bytes(b"older and longer")
    os.link(tmp_path / "a", tmp_path / "b")
    check_target(tmp_path / "b")
    replace_file(tmp_path / "b", b"new")

    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").samefile(tmp_path / "b") and len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="only Linux has them in Python")
def test_attributes_are_kept(tmp_path: Path) -> None:
    """What a user noted at a file stays with it."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"older")
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system keeps none")
    replace_file(path, b"new")

    assert path.read_bytes() == b"new" and os.getxattr(path, "user.note") == b"mine"


def test_links_that_end_nowhere_are_told(tmp_path: Path) -> None:
    """A link into a folder that is not there, or to itself, fails before the work as it would after."""
    (tmp_path / "lost").symlink_to("no/folder")
    (tmp_path / "round").symlink_to("round")
    for name in ("lost", "round"):
        for write in (check_target, lambda path: replace_file(path, b"data")):
            with pytest.raises(OSError, match="No such file" if name == "lost" else "round"):
                write(tmp_path / name)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755, 0o200])
def test_permissions_are_kept(tmp_path: Path, mode: int) -> None:
    """A file keeps its permissions; a new one has those that this user's files have."""
    (tmp_path / "kept").touch()
    (tmp_path / "kept").chmod(mode)
    (tmp_path / "plain").touch()
    for name in ("kept", "new"):
        replace_file(tmp_path / name, b"data")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"kept": mode, "new": modes["plain"], "plain": modes["plain"]}


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    """A file that is marked read-only is left alone, by itself and through a link."""
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "a").chmod(0o444)
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        for write in (check_target, lambda path: replace_file(path, b"data")):
            with pytest.raises(PermissionError, match="the file is read-only"):
                write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == b"mine"


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EROFS])
def test_where_no_rename_is_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A file that is mounted by itself is written in place, all of it, and nothing is left beside it."""

    def refused(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "a").write_bytes(b"older and longer")
    number = (tmp_path / "a").stat().st_ino
    monkeypatch.setattr(os, "replace", refused)
    replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new" and (tmp_path / "a").stat().st_ino == number
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(OSError, match=os.strerror(code)):
        replace_file(tmp_path / "b", b"new")


def test_a_full_disk_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no refusal of a rename does not lead to writing over the file."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a").write_bytes(b"older")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"older"


AS_NOBODY = """
import os, sys
from pathlib import Path
from cosyrt.files import check_target, replace_file
os.setgid(65534); os.setuid(65534)
for name in sys.argv[2:]:
    try:
        check_target(Path(sys.argv[1], name)); replace_file(Path(sys.argv[1], name), b"new"); print("written")
    except OSError as error:
        print(error.strerror)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)
def test_an_own_file_in_a_folder_of_others(tmp_path: Path) -> None:
    """Whoever may write a file may do so where the folder is closed; a new file is refused there."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    for name, mode in (("own", 0o644), ("shared", 0o666), ("closed", 0o644)):
        (tmp_path / name).write_bytes(b"older and longer")
        (tmp_path / name).chmod(mode)
    os.chown(tmp_path / "own", 65534, 65534)

    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path), "own", "shared", "closed", "new"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == ["written", "written", "the file is read-only", "Permission denied"]
    assert (tmp_path / "own").read_bytes() == (tmp_path / "shared").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["closed", "own", "shared"]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    """The next writer removes their files once they are old, and no others."""
    old, young = tmp_path / ".cosyrt-0123456789ab", tmp_path / ".cosyrt-ba9876543210"
    others = [tmp_path / name for name in (".cosyrt-mine", ".cosyrt-0123456789abc", "x.cosyrt-0123456789ab")]
    for path in (old, young, *others):
        path.touch()
        if path != young:
            os.utime(path, (time.time() - 4_000,) * 2)
    replace_file(tmp_path / "a", b"data")
    assert {path.name for path in tmp_path.iterdir()} == {"a", young.name, *(path.name for path in others)}


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    """A second holder waits for the first, and a folder that is not there can be held."""
    waits = "import sys; from pathlib import Path; from cosyrt.files import locked\n"
    waits += "with locked(Path(sys.argv[1])): print('in', flush=True)"
    with locked(tmp_path), locked(tmp_path / "none"):
        other = subprocess.Popen([sys.executable, "-c", waits, str(tmp_path)], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(2)
    assert other.communicate(timeout=60)[0] == b"in\n"
