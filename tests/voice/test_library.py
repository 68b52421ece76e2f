"""Registered voices: a folder of voice files."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.errors import UsageError, VoiceError, VoiceNotFound
from cosyrt.voice.library import VoiceLibrary, default_folder, is_name
from cosyrt.voice.voice import Voice
from tests.voice.test_voice import assert_same, voice


@pytest.fixture
def voices(tmp_path: Path) -> VoiceLibrary:
    return VoiceLibrary(tmp_path / "data" / "voices")


def test_a_registered_voice_is_found(voices: VoiceLibrary) -> None:
    """One file a voice, in a folder that is made when needed; found by name, by other processes too."""
    assert (voices.names(), voices.find("Ada")) == ([], None)
    path = voices.add(voice())
    assert path == voices.folder / "Ada.safetensors" and list(voices.folder.iterdir()) == [path]
    found = VoiceLibrary(voices.folder).find("Ada")
    assert found is not None
    assert_same(found, voice())


def test_a_voice_stays_the_same_object_until_its_file_changes(voices: VoiceLibrary) -> None:
    """What the engine computes for a voice it keeps for the object: a new one would cost that again."""
    voices.add(voice())
    first = voices.find("Ada")
    assert voices.find("Ada") is first
    voices.add(voice(6), overwrite=True)
    second = voices.find("Ada")
    assert second is not None and len(second.speech_tokens) == 6
    voices.remove("Ada")
    assert voices.find("Ada") is None and voices.names() == []


def test_the_name_of_the_file_is_the_name_of_the_voice(voices: VoiceLibrary) -> None:
    """A voice file copied into the folder under another name is registered under that name."""
    path = voices.add(voice())
    (voices.folder / "小明.safetensors").write_bytes(path.read_bytes())
    found = voices.find("小明")
    assert found is not None and found.name == "小明"
    assert voices.names() == ["Ada", "小明"]


def test_a_taken_name(voices: VoiceLibrary) -> None:
    """A voice is not overwritten unasked, nor one that differs in case alone, which some systems cannot."""
    voices.add(voice())
    for name in ("Ada", "ada"):
        with pytest.raises(UsageError, match="a voice is called 'Ada' already"):
            voices.add(voice(name=name))
    with pytest.raises(UsageError, match="'Ada' already"):
        voices.add(voice(name="ADA"), overwrite=True)


def test_renaming(voices: VoiceLibrary) -> None:
    """The voice is there under the new name alone; a change of case is one too; a taken name is refused."""
    voices.add(voice())
    voices.rename("Ada", "Bob")
    assert voices.names() == ["Bob"]
    voices.rename("Bob", "bob")
    assert voices.names() == ["bob"]
    voices.add(voice())
    for new in ("Ada", "bob"):
        with pytest.raises(UsageError, match="already"):
            voices.rename("bob", new)
    assert voices.names() == ["Ada", "bob"]
    assert Voice.load(voices.path("Ada")).name == "Ada"


def test_what_is_not_there(voices: VoiceLibrary) -> None:
    """Removing and renaming need a registered voice; the error lists those there are."""
    voices.add(voice())
    for change in (lambda: voices.remove("Bob"), lambda: voices.rename("Bob", "Cid")):
        with pytest.raises(VoiceNotFound, match="no voice is registered as 'Bob'; registered are Ada"):
            change()


UNFIT = [
    "", ".", "..", "../../x", "a/b", "a\\b", "C:x", "..%2f", "a\0b", "x" * 65, "\u202eabc", "CON", "nul.txt",
    "com1", ".hidden", " a", "a ", "a.", "-o", "a\nb", "a*b", "𠀀" * 64, "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_names_that_are_tricks(voices: VoiceLibrary, name: str) -> None:
    """Paths, devices, hidden files, control and direction marks: none is a name, and nothing is touched."""
    with pytest.raises(UsageError, match="a voice cannot be called") as caught:
        voices.add(voice(name=name))
    assert "\n" not in str(caught.value) and not voices.folder.exists()
    assert voices.find(name) is None
    with pytest.raises(VoiceNotFound):
        voices.remove(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Ada", "小明", "中文女", "Zoë_2-b", "a.b c", "हिन्दी", "_x", "9", "con man", "x" * 64),
        *("O'Brien", "D’Artagnan", "Ann (calm)", "Smith, J.B", "[test] 2", "Tom & Ann", "A+!"),
    ],
)
def test_names_that_are_fit(voices: VoiceLibrary, name: str) -> None:
    """Letters of any script, digits, spaces, and the marks that names have."""
    voices.add(voice(name=name))
    assert voices.names() == [name]


def test_a_name_has_one_spelling(voices: VoiceLibrary) -> None:
    """macOS hands on accents as characters of their own: it is the same voice, listed, found and removed."""
    apart, together = "Zoe\u0308", "Zo\u00eb"
    voices.add(voice(name=apart))
    assert voices.names() == [together]
    for name in (apart, together):
        found = voices.find(name)
        assert found is not None and found.name == together
        with pytest.raises(UsageError, match="already"):
            voices.add(voice(name=name))
    voices.rename(apart, "Ada")
    voices.rename("Ada", apart)
    voices.remove(apart)
    assert voices.names() == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=70))
def test_a_name_is_one_file_in_the_folder(name: str) -> None:
    """Whatever is accepted is a single plain component of a path."""
    if is_name(name):
        assert Path(f"{name}.safetensors").name == f"{name}.safetensors"
        assert not name.startswith(".") and len(os.fsencode(f".{name}.safetensors.0123456789ab")) < 256


def test_other_files_are_passed_over(voices: VoiceLibrary) -> None:
    """Half-written files, notes and folders are no voices; a damaged one is listed, and says so when used."""
    voices.add(voice())
    (voices.folder / ".Bob.safetensors.0a1b").write_bytes(b"half")
    (voices.folder / "notes.txt").write_text("mine")
    (voices.folder / "Bad.safetensors").write_bytes(b"damaged")
    assert voices.names() == ["Ada", "Bad"]
    with pytest.raises(VoiceError, match=r"Bad\.safetensors"):
        voices.find("Bad")
    voices.remove("Bad")
    assert voices.names() == ["Ada"]


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in the place of the folder is one line, with the variable that chooses another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(VoiceError, match="COSYRT_VOICES") as caught:
        VoiceLibrary(tmp_path / "file" / "voices").add(voice())
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of other systems are platformdirs' work")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "home/.local/share/cosyrt/voices"),
        ({"XDG_DATA_HOME": "/data"}, "/data/cosyrt/voices"),
        ({"COSYRT_VOICES": "/mine"}, "/mine"),
        ({"COSYRT_VOICES": "~/mine"}, "home/mine"),
        ({"COSYRT_VOICES": ""}, "home/.local/share/cosyrt/voices"),
    ],
)
def test_the_folder_of_a_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], expected: str
) -> None:
    """Where the system keeps a user's data, unless the variable names a folder."""
    for name in ("XDG_DATA_HOME", "COSYRT_VOICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path / "home"), **variables}.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == tmp_path / expected


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user has no home folder the error names the variable."""

    def homeless(*_: object, **__: object) -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("COSYRT_VOICES", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", homeless)
    with pytest.raises(VoiceError, match="set COSYRT_VOICES"):
        VoiceLibrary().names()


NAMES = [f"name {number}" for number in range(12)]


def add_all(folder: Path, tokens: int, barrier: Barrier, added: SimpleQueue[str]) -> None:
    """Add a voice under every name, each at the same moment as the other process."""
    for name in NAMES:
        made = voice(tokens, name=name)
        barrier.wait(60)
        try:
            VoiceLibrary(folder).add(made)
            added.put(name)
        except UsageError:
            pass


def test_of_two_processes_that_add_one_name_one_succeeds(voices: VoiceLibrary) -> None:
    """The other is told that the name is taken, and no voice is lost."""
    context = multiprocessing.get_context("spawn")
    barrier, added = context.Barrier(2), context.SimpleQueue()
    writers = [
        context.Process(target=add_all, args=(voices.folder, tokens, barrier, added)) for tokens in (5, 9)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    heard = []
    while not added.empty():
        heard.append(added.get())

    assert sorted(heard) == sorted(NAMES) == voices.names()
    assert len(list(voices.folder.iterdir())) == len(NAMES)


def test_writers_at_once(voices: VoiceLibrary) -> None:
    """Two libraries that overwrite one voice leave a whole file of either."""
    from concurrent.futures import ThreadPoolExecutor

    def write(tokens: int) -> None:
        VoiceLibrary(voices.folder).add(voice(tokens), overwrite=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [5, 9] * 10))
    found = voices.find("Ada")
    assert found is not None and len(found.speech_tokens) in (5, 9)
    assert np.isfinite(found.mel).all() and len(list(voices.folder.iterdir())) == 1


def test_renaming_over_another_case(voices: VoiceLibrary) -> None:
    """With `Ann` and `ann` in the folder neither is renamed to the other, nor to a third case."""
    path = voices.add(voice(name="Ann"))
    path.with_name("ann.safetensors").write_bytes(path.read_bytes())
    if len(voices.names()) == 1:
        pytest.skip("this file system ignores case")
    for old, new in (("Ann", "ann"), ("ann", "Ann"), ("Ann", "ANN"), ("ann", "Ann"), ("Ann", "Ann")):
        with pytest.raises(UsageError, match="already"):
            voices.rename(old, new)
    assert voices.names() == ["Ann", "ann"]
    voices.rename("Ann", "Bea")
    assert voices.names() == ["Bea", "ann"]
    assert Voice.load(voices.path("Bea")).name == "Bea"


def _rename(folder: Path, old: str, new: str, barrier: Barrier, results: SimpleQueue[str]) -> None:
    barrier.wait()
    try:
        VoiceLibrary(folder).rename(old, new)
        results.put("renamed")
    except Exception as error:  # which is compared, and must not leave the test waiting
        results.put(type(error).__name__)


@pytest.mark.slow
def test_of_many_renames_of_one_voice_one_succeeds(voices: VoiceLibrary) -> None:
    """Renames of one voice at once leave one copy, under one of the new names."""
    context = multiprocessing.get_context("spawn")
    for round in range(3):
        voices.add(voice(name="Ada"))
        barrier, results = context.Barrier(4), context.SimpleQueue()
        programs = [
            context.Process(target=_rename, args=(voices.folder, "Ada", f"New{round}{at}", barrier, results))
            for at in range(4)
        ]
        for program in programs:
            program.start()
        for program in programs:
            program.join()
        assert sorted(results.get() for _ in programs) == ["VoiceNotFound"] * 3 + ["renamed"]
        assert len(voices.names()) == round + 1 and "Ada" not in voices.names()


@pytest.mark.parametrize(
    "name",
    [
        "COM¹",
        "lpt³.x",
        "com² ",
        "CON .txt",
        "nul  .a.b",
        "aux  ",
        "Prn .wav",
        "LPT٣",
        "com9 .x",
        "ＣＯＮ",
        "ⅽon",
        "𝐀𝐔𝐗",
    ],
)
def test_devices_in_disguise(name: str) -> None:
    """Names that Windows takes for a device are no names, in wide letters or with a blank too."""
    assert not is_name(name)


@pytest.mark.parametrize("name", ["Connie", "com", "lpt", "COM10", "nullo", "auxiliary", "con-1", "x COM¹"])
def test_names_like_devices(name: str) -> None:
    """A name that only begins like a device is a name."""
    assert is_name(name)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of the administrator, who may search any folder."""
    user = os.geteuid()
    os.seteuid(65_534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_library_that_is_a_file(tmp_path: Path) -> None:
    """A file in the place of the library is a VoiceError, and never an empty library."""
    (tmp_path / "voices").write_text("no folder")
    voices = VoiceLibrary(tmp_path / "voices")

    for operation in (voices.names, lambda: voices.add(voice()), lambda: voices.rename("Ada", "Bob")):
        with pytest.raises(VoiceError, match="cannot use"):
            operation()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
@pytest.mark.parametrize("mode", [0o444, 0o000, 0o111])
def test_a_folder_without_rights(mode: int) -> None:
    """A library that may be read and not searched, or neither, is a VoiceError for every operation."""
    with TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        voices = VoiceLibrary(Path(parent) / "voices")
        voices.add(voice())
        os.chmod(voices.folder, mode)
        operations: list[Callable[[], object]] = [
            voices.names,
            lambda: voices.rename("Ada", "Bob"),
            lambda: voices.remove("Ada"),
            lambda: voices.add(voice(), overwrite=True),
        ]
        if not mode & 0o111:
            operations += [lambda: voices.find("Ada"), lambda: voices.named("Ada", {})]
        with as_nobody():
            for operation in operations:
                with pytest.raises(VoiceError, match="Permission denied; check it, or set COSYRT_VOICES"):
                    operation()
        os.chmod(voices.folder, 0o755)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("ada", "Ada"),
        (" ADA ", "Ada"),
        ("o’brien", "O'Brien"),
        ("ann  (CALM)", "Ann (calm)"),
        ("lin", "Lin"),
        ("Lin", "Lin"),
        ("STRASSE", "Straße"),
    ],
)
def test_a_name_is_found_as_people_type_it(voices: VoiceLibrary, asked: str, found: str) -> None:
    """Capitals, blanks and the form of an apostrophe do not matter; a model's own voice comes first."""
    for name in ("Ada", "O'Brien", "Ann (calm)", "Straße"):
        voices.add(voice(name=name))
    assert voices.named(asked, {"Lin": voice(name="Lin")}).name == found


def test_a_name_that_is_not_there_is_answered_with_the_nearest(voices: VoiceLibrary) -> None:
    """The error suggests a name that is alike, or none; of two that fit alike neither is taken."""
    voices.add(voice(name="O'Brien"))
    with pytest.raises(
        VoiceNotFound, match=r"no voice is called 'obrian' \(did you mean \"O'Brien\"\?\); this"
    ):
        voices.named("obrian", {})
    with pytest.raises(VoiceNotFound, match="no voice is called 'xyz'; this model has none"):
        voices.named("xyz", {})
    with pytest.raises(VoiceNotFound, match="did you mean 'a"):
        voices.named("A'B", {"a'b": voice(), "a’b": voice()})
    with pytest.raises(VoiceNotFound, match=r"no voice is registered as 'OBrien' \(did you mean"):
        voices.remove("OBrien")
