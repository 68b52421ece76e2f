"""Writing files so that they appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    """The same under a name that is free: of several programs at once, one succeeds.

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
    """A pipe or a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_folder(path: Path) -> bool:
    """As `Path.is_dir`, which hides that a name is too long."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return path.is_dir()


@contextmanager
def _beside(path: Path, data: bytes) -> Iterator[Path]:
    """A file with the data beside the target, gone at the end if it still has that name."""
    # not named after the target, whose name may be as long as the system allows
    temporary = path.with_name(f".cosyrt-{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
