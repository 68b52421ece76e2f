"""Where a user's files are kept, and how they are written so that they appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE_VARIABLE = "COSYRT_PLANS"


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

    A pipe or a device stays what it is: it is written to.

    Raises:
        OSError: the folder is missing or cannot be written.
        ValueError: the path can be none.
    """
    if _is_special(path):
        path.write_bytes(data)
        return
    with _beside(path, data) as temporary:
        os.replace(temporary, path)


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
        OSError: the folder is missing or cannot be written, a folder has that name, or it is too long.
    """
    if _is_folder(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if _is_special(path):  # not opened: the reader of a pipe would take that for the file
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    with tempfile.TemporaryFile(dir=path.parent):
        pass


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
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
