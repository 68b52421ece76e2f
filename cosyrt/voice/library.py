"""Registered voices: a folder of voice files, each found by its name.

One file a voice and nothing beside it: a file copied into the folder is registered, one deleted is not, and
two programs that write at once cannot damage an index.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from cosyrt.arguments import check_kind, path_of
from cosyrt.errors import UsageError, VoiceError, VoiceNotFound
from cosyrt.files import check_target, data_folder, locked
from cosyrt.voice.voice import Voice

SUFFIX = ".safetensors"
MAX_CHARACTERS, MAX_BYTES = 64, 200  # of a name; file systems end at 255 bytes
MARKS = " _.-'’(),[]&+!"  # of a name, beside letters and digits: no system forbids them in a file's name
NAME_ADVICE = (
    f"give 1 to {MAX_CHARACTERS} letters, digits, blanks or {MARKS.strip()} "
    "that begin with neither a dot nor a dash, and end in no dot"
)
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`", "'"))
FOLDER_VARIABLE = "COSYRT_VOICES"
# Windows takes these for devices, with a blank or a superscript too, and its older programs in wide letters.
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)\d) *(\..*)?", re.IGNORECASE)

Stamp = tuple[int, int, int]  # of a file: its number, size and time of change


class VoiceLibrary:
    """The voices in one folder; what was read is kept until its file changes.

    The folder is the one given, else `default_folder()`. It is made when the first voice is added.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._given = None if folder is None else path_of(folder, "the folder of voices is")
        self._known: dict[str, tuple[Stamp, Voice]] = {}

    @property
    def folder(self) -> Path:
        """The folder of the voice files.

        Raises:
            VoiceError: none was given and this user has no home folder.
        """
        return self._given or default_folder()

    def names(self) -> list[str]:
        """The registered names, sorted. Files whose name could not be registered are passed over."""
        with _writing(self.folder):
            paths = list(self.folder.iterdir()) if self.folder.exists() else []
            found = {nfc(path.stem) for path in paths if path.suffix == SUFFIX}
            return sorted(name for name in found if is_name(name) and self.path(name).exists())

    def path(self, name: str) -> Path:
        """The path of a voice's file, whether it is there or not.

        Raises:
            UsageError: a name that no voice can have.
        """
        return self.folder / f"{check_name(name)}{SUFFIX}"

    def find(self, name: str) -> Voice | None:
        """The voice of that name, or None. As long as its file does not change it is the same object.

        Raises:
            VoiceError: its file is damaged, or the folder cannot be searched.
        """
        name = nfc(name)
        path = self.path(name) if is_name(name) else None
        status = None if path is None else _status(path)
        if path is None or status is None:
            self._known.pop(name, None)
            return None
        stamp = status.st_ino, status.st_size, status.st_mtime_ns
        try:
            if name not in self._known or self._known[name][0] != stamp:
                self._known[name] = stamp, replace(Voice.load(path), name=name)
        except VoiceError:
            if _status(path) is not None:
                raise
            return None  # it was renamed or removed meanwhile
        return self._known[name][1]

    def named(self, name: str, own: Mapping[str, Voice]) -> Voice:
        """A model's own voice of that name, else the registered one, else one whose name differs little.

        Little are capitals, blanks around the name or in it, and the form of its apostrophes.

        Raises:
            VoiceNotFound: there is none, or several differ little; the error suggests the most alike.
            VoiceError: its file is damaged.
        """
        voice = own[name] if name in own else self.find(name)
        if voice is None and len(alike := self._alike(name, own)) == 1:
            voice = own[alike[0]] if alike[0] in own else self.find(alike[0])
        if voice is None:
            raise VoiceNotFound(
                f"no voice is called {name!r}{_suggestion(name, [*own, *self.names()])}; "
                f"this model has {', '.join(own) or 'none'}; "
                f"registered are {', '.join(self.names()) or 'none'}"
            )
        return voice

    def _alike(self, name: str, own: Mapping[str, Voice]) -> list[str]:
        """Names that differ little from one, the model's own first."""
        for names in list(own), self.names():
            if found := [each for each in names if _folded(each) == _folded(name)]:
                return found
        return []

    def check_free(self, name: str, *, overwrite: bool = False) -> None:
        """Refuse a name that no voice can be added under, before the voice is made.

        Raises:
            UsageError: no voice can have it, or it is taken (but for case: where the file system ignores
                case, `Ann` and `ann` would be one file).
            VoiceError: the folder cannot be written.
        """
        name = check_name(name)
        taken = {other for other in self.names() if other.casefold() == name.casefold()}
        if taken - {name} or (taken and not overwrite):
            raise UsageError(f"a voice is called {min(taken)!r} already; choose another name or remove it")
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            check_target(self.path(name))

    def add(self, voice: Voice, *, overwrite: bool = False) -> Path:
        """Write the voice's file under its name.

        Raises:
            UsageError: a name that no voice can have, or that is taken.
            VoiceError: the folder cannot be written.
        """
        check_kind(voice, Voice, "the voice", "give a Voice, such as voice_from makes")
        self.check_free(voice.name, overwrite=overwrite)
        path = self.path(voice.name)
        with self._locked():
            self.check_free(voice.name, overwrite=overwrite)
            replace(voice, name=path.stem).save(path, overwrite=overwrite)
        return path

    def rename(self, old: str, new: str) -> None:
        """Give a voice another name.

        Raises:
            VoiceNotFound: no voice is registered under the old name.
            UsageError: the new name is taken, or no voice can have it.
            VoiceError: the file is damaged, or the folder cannot be written.
        """
        old, new = nfc(old), nfc(new)
        with self._locked():
            voice, path, target = self._existing(old), self.path(old), self.path(new)
            self._check_other(old, new)
            with _writing(path):
                check_target(target)
                os.replace(path, target)  # nobody else can have taken the name, and a kill loses nothing
            voice = replace(voice, name=target.stem)
            voice.save(target)

    def remove(self, *names: str) -> None:
        """Delete the voices' files, damaged or not: all of them, or none where one is not there.

        Raises:
            VoiceNotFound: no voice is registered under one of the names.
            VoiceError: the folder cannot be written.
        """
        asked = dict.fromkeys(map(nfc, names))
        with self._locked():
            known = self.names()
            for name in asked:
                if name not in known:
                    raise self._unknown(name)
            for name in asked:
                self._known.pop(name, None)
                with _writing(self.path(name)):
                    self.path(name).unlink()

    def _check_other(self, old: str, new: str) -> None:
        """Refuse a new name that another voice has, or one that differs from it by case alone."""
        for name in self.names():
            if name.casefold() != new.casefold() or name == old:
                continue
            with _writing(self.path(name)):
                same = self.path(name).samefile(self.path(old))  # where the file system ignores case
            if not same:
                raise UsageError(f"a voice is called {name!r} already; choose another name or remove it")
        if new == old:
            raise UsageError(f"the voice is called {old!r} already; choose another name")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other programs from changing the folder; a program that is killed lets go of it."""
        with ExitStack() as stack:
            with _writing(self.folder):
                if self.folder.is_dir():
                    stack.enter_context(locked(self.folder))
            yield

    def _existing(self, name: str) -> Voice:
        voice = self.find(name)
        if voice is None:
            raise self._unknown(name)
        return voice

    def _unknown(self, name: str) -> VoiceNotFound:
        known = ", ".join(self.names()) or "none"
        suggestion = _suggestion(name, self.names())
        return VoiceNotFound(f"no voice is registered as {name!r}{suggestion}; registered are {known}")


def nfc(name: str) -> str:
    """Compose a name (Unicode NFC): each accent becomes one character with its letter, unlike on macOS."""
    check_kind(name, str, "the name of a voice", "give a str")
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    """A name without what people change when they type it from memory."""
    return " ".join(nfc(name).casefold().translate(_APOSTROPHES).split())


def _suggestion(name: str, names: Sequence[str]) -> str:
    """The most alike of some names, as a question; "" where none is alike."""
    folded = {_folded(each): each for each in names}
    close = get_close_matches(_folded(name), folded, n=1)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""


def is_name(name: str) -> bool:
    """Whether a voice may be registered under this name: it is a file's name on any system, and plain."""
    return (
        0 < len(name) <= MAX_CHARACTERS
        and len(name.encode(errors="replace")) <= MAX_BYTES
        and unicodedata.is_normalized("NFC", name)
        and all(unicodedata.category(letter)[0] in "LMN" or letter in MARKS for letter in name)
        and name[0] not in " .-"
        and name[-1] not in " ."
        and not _DEVICE.fullmatch(unicodedata.normalize("NFKC", name))
    )


def check_name(name: str) -> str:
    """The composed name, if a voice may be registered under it.

    Raises:
        UsageError: it may not.
    """
    name = nfc(name)
    if not is_name(name):
        raise UsageError(f"a voice cannot be called {name[:80]!r}; {NAME_ADVICE}")
    return name


def default_folder() -> Path:
    """`COSYRT_VOICES`, else the folder `cosyrt/voices` where this system keeps a user's data.

    Raises:
        VoiceError: there is neither that variable nor a home folder.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    try:
        return Path(given).expanduser() if given else data_folder() / "voices"
    except RuntimeError as error:
        raise VoiceError(f"this user has no home folder; set {FOLDER_VARIABLE} to a folder") from error


def _status(path: Path) -> os.stat_result | None:
    """What the system says of a file, or None where there is none.

    Raises:
        VoiceError: its folder cannot be searched.
    """
    with _writing(path):
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VoiceError(
            f"cannot use {path}: {error.strerror or error}; check it, or set {FOLDER_VARIABLE}"
        ) from error
