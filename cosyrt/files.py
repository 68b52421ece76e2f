"""Where a user's files are kept, and how they are written so that they appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CACHE_VARIABLE = "COSYRT_PLANS"

TEMPORARY = re.compile(r"\.cosyrt-[0-9a-f]{12}")
STALE_S = 3_600.0
ANYONE_WRITES = 0o222
NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
# A folder that may not be written, or a file that is mounted by itself: neither can be renamed over.
NO_RENAME = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV}


def data_folder() -> Path:
    """Where this system keeps a user's data of `cosyrt`: XDG on Linux, the known folders elsewhere.

    Raises:
        RuntimeError: this user has no home folder.
    """
    from platformdirs import user_data_path

    return _absolute(user_data_path("cosyrt", appauthor=False))


def cache_folder() -> Path:
    """Where plans, artifacts and digests are kept: beside `COSYRT_PLANS`, else in the user's cache folder.

    For a user without a home folder it is one in which nothing can be found or written.
    """
    from platformdirs import user_cache_path

    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).parent
    try:
        return _absolute(user_cache_path("cosyrt", appauthor=False))
    except RuntimeError:
        return Path(os.devnull, "cosyrt")


def _absolute(path: Path) -> Path:
    """Refuse a relative path, which older releases of platformdirs give where there is no home folder."""
    if not path.is_absolute():
        raise RuntimeError("no home folder")
    return path


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file as hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, data: bytes) -> None:
    """Write beside the target and rename, so that a reader never meets half a file.

    A link stays a link to the file that is replaced, and the file keeps its permissions and attributes. A
    pipe or a device is written to. So is a file that cannot be renamed over, because it is mounted or in a
    read-only folder, and one with several names (hard links), which all stand for the new content.

    Raises:
        OSError: the folder is missing or cannot be written, or the file is read-only.
        ValueError: the path can be none.
    """
    path = _followed(path)
    if _is_special(path):
        path.write_bytes(data)
        return
    _check_writable(path)
    if path.is_file() and path.stat().st_nlink > 1:
        _write_in_place(path, data)
        return
    try:
        with _beside(path, data) as temporary:
            os.replace(temporary, path)
    except OSError as error:
        if error.errno not in NO_RENAME or not path.is_file():
            raise
        _write_in_place(path, data)


def create_file(path: Path, data: bytes) -> None:
    """Write a file whole under a name that is free: of several programs at once, one succeeds.

    Raises:
        FileExistsError: the name is taken. OSError: as above.
    """
    with _beside(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: reserve the name, then replace what reserves it
            path.open("xb").close()
            os.replace(temporary, path)


def check_target(path: Path) -> None:
    """Fail as `replace_file` would, before the work is done whose result it is to write.

    Raises:
        OSError: the folder is missing or cannot be written, a folder has that name, or it is too long, or the
            file is read-only.
    """
    path = _followed(path)
    if _is_folder(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if _is_special(path):  # not opened: the reader of a pipe would take that for the file
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    _check_writable(path)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        if error.errno not in NO_RENAME or not path.is_file():
            raise


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder for one program at a time, where the system can; nothing is left behind in it.

    Raises:
        BlockingIOError: another program holds it, and this one is not to wait.
    """
    try:
        import fcntl

        number = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # no such locks, or a folder that may not be read
        yield
        return
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # else a file system without locks
            if isinstance(error, BlockingIOError):
                raise
        yield
    finally:
        os.close(number)


def _followed(path: Path) -> Path:
    """The file that a link stands for, there or not; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _check_writable(path: Path) -> None:
    """Refuse a file that is marked read-only, though its folder would let it be replaced."""
    with suppress(FileNotFoundError):
        if not path.stat().st_mode & ANYONE_WRITES or not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "the file is read-only", str(path))


def _write_in_place(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


def _is_special(path: Path) -> bool:
    """Whether there is a pipe or a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_folder(path: Path) -> bool:
    """Whether there is a folder; unlike `Path.is_dir` this does not hide that a name is too long."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return path.is_dir()


@contextmanager
def _beside(path: Path, data: bytes) -> Iterator[Path]:
    """Write the data into a file beside the target, which is removed at the end if it was not renamed."""
    # not named after the target, whose name may be as long as the system allows
    temporary = path.with_name(f".cosyrt-{secrets.token_hex(6)}")
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    _sweep(path.parent)
    try:
        number = os.open(temporary, NEW_FILE, 0o666 if mode is None else 0o600)
        with open(number, "wb") as file:
            file.write(data)
        if mode is not None:
            _take_over(path, temporary, mode)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _take_over(path: Path, temporary: Path, mode: int) -> None:
    """Give a new file the owner, permissions and attributes of the one that it replaces, as far as it may."""
    status = path.stat()
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(temporary, status.st_uid, status.st_gid)
    if hasattr(os, "listxattr"):  # access lists are attributes too
        with suppress(OSError):
            for name in os.listxattr(path):
                os.setxattr(temporary, name, os.getxattr(path, name))
    os.chmod(temporary, mode)


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed left in a folder, once none can be at work on it any more."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_S:
                        os.unlink(entry.path)
