"""Errors that no class of ours foresees: those of the user's machine in words, and the rest as bugs."""

from __future__ import annotations

import errno
import os
import sys

from cosyrt.errors import kind_and_reason, shortened

# Of a disk that is full or failing, wherever it was met: nothing that could be checked before.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
TOO_MANY = {errno.EMFILE, errno.ENFILE}
# Of a path that somebody else has made what it is; a file that is missing may be our fault.
UNUSABLE = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EBUSY}
NO_MEMORY = (
    "failed to map segment",
    "annot allocate memory",
    "std::bad_alloc",
    "an't allocate memory",
    "not enough memory",
)
NO_THREAD = ("can't start new thread", "Resource temporarily unavailable")


def in_words(error: BaseException) -> str:
    """What an error that has no class of ours says to a user."""
    of_machine = _of_file(error) if isinstance(error, OSError) else ""
    text = str(error)
    if of_machine:
        return of_machine
    if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
        return "there is too little memory; close programs, raise `ulimit -v`, or say a shorter text"
    if isinstance(error, RuntimeError | OSError) and any(words in text for words in NO_THREAD):
        return "this machine gives no more threads or processes; close programs, or raise `ulimit -u`"
    return f"this is a bug: {kind_and_reason(error)}; run it again with -v and report it"


def _of_file(error: OSError) -> str:
    """What a file or the disk is guilty of; empty where they are not."""
    name = "" if error.filename is None else shortened(os.fsdecode(error.filename))
    if error.errno in DISK:
        return f"cannot write {name or 'the output'}: {error.strerror}; make room, or write elsewhere"
    if error.errno in TOO_MANY:
        return f"cannot open another file: {error.strerror}; close programs, or raise `ulimit -n`"
    return f"cannot use {name}: {error.strerror}; check it" if name and error.errno in UNUSABLE else ""


def print_anything() -> None:
    """Let names that are no UTF-8, or have letters that a terminal has not, be printed with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and getattr(stream, "errors", "") == "strict":
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
