"""`cosyrt voices`: registered once, used by name. The tiny model, real files, no mocks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import cosyrt
from cosyrt.audio import Audio
from cosyrt.cli import main
from cosyrt.voice.library import VoiceLibrary
from cosyrt.voice.voice import Origin, Voice
from tests.voice.test_voice import assert_same, voice


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VoiceLibrary:
    """Where this test's voices are registered."""
    monkeypatch.setenv("COSYRT_VOICES", str(tmp_path / "voices"))
    monkeypatch.chdir(tmp_path)
    return VoiceLibrary()


@pytest.fixture
def loaded(tiny: cosyrt.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that load a model are given the one that is loaded."""
    monkeypatch.setitem(vars(cosyrt), "load", lambda folder=None, **options: tiny)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A recording of 2 s with half a second of silence before and after."""
    samples = np.random.default_rng(0).standard_normal(48_000).astype(np.float32) / 10
    Audio(np.pad(samples, 12_000), 24_000).write(tmp_path / "clip.wav")
    return tmp_path / "clip.wav"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["voices", *map(str, arguments)])


def told(*arguments: object) -> Any:
    """What a command prints with --json."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(code: int, *arguments: object) -> str:
    """The one line of a command that fails."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1 and result.stdout == ""
    return result.stderr


def test_a_voice_is_registered_once_and_used_by_name(
    library: VoiceLibrary, loaded: None, tiny: cosyrt.Pipeline, clip: Path
) -> None:
    """`add` writes one file; `say --voice` and `tts.say(voice=)` find it after the model's own."""
    facts = told("add", "me", clip, "--text", "My own words.", "--license", "CC0-1.0", "--consent", "mine")
    assert [each["name"] for each in facts] == ["me"]
    assert Path(facts[0]["file"]) == library.path("me")
    made = Voice.load(library.path("me"))
    assert (made.text, made.language, made.family) == ("My own words.", "en", "cosyvoice2")
    assert (made.origin.license, made.origin.consent) == ("CC0-1.0", "mine")
    assert len(made.origin.source_sha256) == 64 and made.origin.speech_tokenizer

    result = CliRunner().invoke(main, ["say", "hello", "--voice", "me", "-o", "a.wav", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["voice"]) == (0, "me")
    heard = tiny.say("hello", voice="me").samples
    assert np.array_equal(heard, tiny.say("hello", voice=made).samples)
    assert tiny.voice("me") is tiny.voice("me")


def test_the_prompt_is_cut_so_that_the_first_chunk_is_short(
    library: VoiceLibrary, loaded: None, tiny: cosyrt.Pipeline, clip: Path
) -> None:
    """Twelve of 75 tokens are silence and left out: the first chunk ends after 12 and needs 3 more."""
    facts = told("add", "me", clip, "--text", "My own words.")
    assert (facts[0]["prompt_s"], facts[0]["first_chunk_s"]) == (63 / 25, 0.6)
    first = next(stream := tiny.stream("hello hello hello hello", voice="me"))
    stream.close()
    assert first.seconds <= 12 / 25


def test_bad_recordings_are_refused_before_the_model_is_loaded(
    library: VoiceLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line each; nothing is registered; no model is even opened."""
    monkeypatch.setitem(vars(cosyrt), "load", lambda *_, **__: pytest.fail("loaded"))
    noise = np.random.default_rng(0).standard_normal(24_000 * 31).astype(np.float32) / 10
    for name, samples, words in (
        ("short", noise[:12_000], "0.50 s long"),
        ("long", noise, "longer than 30 s"),
        ("silent", np.zeros(48_000, np.float32), "is silent"),
        ("clipped", np.sign(noise[:48_000]), "is clipped"),
    ):
        Audio(samples, 24_000).write(tmp_path / f"{name}.wav")
        assert words in refused(5, "add", "me", tmp_path / f"{name}.wav")
    import soundfile

    soundfile.write(tmp_path / "nan.wav", np.full(48_000, np.nan), 24_000, subtype="FLOAT")
    assert "NaN" in refused(5, "add", "me", tmp_path / "nan.wav")
    assert "No such file" in refused(5, "add", "me", tmp_path / "missing.wav")
    assert library.names() == []


def test_a_name_is_checked_before_anything_else(library: VoiceLibrary, clip: Path) -> None:
    """Tricks with paths and taken names fail at once; --overwrite replaces."""
    library.add(voice(name="me"))
    assert "cannot be called" in refused(2, "add", "../me", clip)
    assert "'me' already" in refused(2, "add", "me", "missing.wav")


def test_a_folder_that_cannot_be_used_is_told_before_the_model_is_loaded(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the place of the folder; nobody waits for a voice that cannot be kept."""
    monkeypatch.setenv("COSYRT_VOICES", str(clip / "voices"))
    monkeypatch.setitem(vars(cosyrt), "load", lambda *_, **__: pytest.fail("loaded"))
    assert "set COSYRT_VOICES" in refused(6, "add", "me", clip)


def test_a_name_of_the_models_own(library: VoiceLibrary, loaded: None, clip: Path) -> None:
    """A voice of that name would never be found: adding, importing and renaming refuse it."""
    assert "a voice 'ann' of its own" in refused(2, "add", "ann", clip)
    builtin = told("list")[0]["name"]
    path = library.add(voice())
    for arguments in (["rename", "Ada", builtin], ["import", path, "--name", builtin]):
        assert f"a voice {builtin!r} of its own" in refused(2, *arguments)
    assert library.names() == ["Ada"]


def test_the_list(library: VoiceLibrary, tiny_folder: Path) -> None:
    """The model's voices, then the registered ones of any family; a table for people, JSON for programs."""
    library.add(voice(50, name="Zoë", family="cosyvoice3", language="fr"))
    result = run("list", "--model", tiny_folder)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["name", "language", "source", "family", "prompt_s"],
        ["ann", "en", str(tiny_folder), "cosyvoice2", "0"],
        ["mei", "zh", str(tiny_folder), "cosyvoice2", "0"],
        ["Zoë", "fr", "registered", "cosyvoice3", "2"],
    ]
    rows = told("list", "--model", tiny_folder)
    assert rows[2] == {
        "name": "Zoë",
        "language": "fr",
        "source": "registered",
        "family": "cosyvoice3",
        "prompt_s": 2.0,
    }


def test_a_damaged_file_hides_no_other(library: VoiceLibrary, tiny_folder: Path) -> None:
    """A damaged file is one line on standard error; removing it needs no reading."""
    library.add(voice())
    library.path("Bad").write_bytes(b"damaged")
    result = run("list", "--json", "--model", tiny_folder)
    assert [row["name"] for row in json.loads(result.stdout)] == ["ann", "mei", "Ada"]
    assert "Bad.safetensors" in result.stderr and result.stderr.count("\n") == 1
    assert run("remove", "Bad").exit_code == 0
    assert library.names() == ["Ada"]


def test_showing_a_voice(library: VoiceLibrary, tiny_folder: Path) -> None:
    """All fields, of registered voices and the model's own; what could steer a terminal is not printed."""
    library.add(voice(text="Red \x1b[31m\nline", origin=Origin(license="CC0-1.0", consent="Ada")))
    facts = told("show", "Ada", "--model", tiny_folder)
    assert (facts["text"], facts["license"], facts["prompt_s"]) == ("Red \x1b[31m\nline", "CC0-1.0", 0.2)
    lines = run("show", "Ada", "--model", tiny_folder).stdout
    assert "\x1b" not in lines and len(lines.splitlines()) == 7
    assert told("show", "mei", "--model", tiny_folder)["language"] == "zh"
    message = refused(6, "show", "Bob", "--model", tiny_folder)
    assert "no voice is called 'Bob'; this model has ann, mei; registered are Ada" in message


def test_renaming_and_removing(library: VoiceLibrary) -> None:
    """Both need no model; what is not registered is named."""
    library.add(voice())
    assert run("rename", "Ada", "Bob").stdout == "Ada is now Bob\n"
    assert library.names() == ["Bob"]
    assert run("remove", "Bob").stdout == "removed Bob\n"
    assert "no voice is registered as 'Bob'" in refused(6, "remove", "Bob")
    library.add(voice())
    assert "no voice is registered as 'Bob'" in refused(6, "remove", "Ada", "Bob")
    assert library.names() == ["Ada"]
    assert run("remove", "Ada", "Ada").stdout == "removed Ada\n"
    assert "no voice is registered as 'Bob'" in refused(6, "rename", "Bob", "Ada")


def test_a_voice_file_travels(library: VoiceLibrary, tiny_folder: Path, tmp_path: Path) -> None:
    """Exported here and imported there, also under another name, it is the same voice."""
    made = voice(origin=Origin(license="CC0-1.0", consent="Ada", source_sha256="ab", speech_tokenizer="cd"))
    library.add(made)
    out = tmp_path / "ada.safetensors"
    assert run("export", "Ada", "-o", out, "--model", tiny_folder).exit_code == 0
    library.remove("Ada")
    assert told("import", out)[0]["name"] == "Ada"
    assert told("import", out, "--name", "Bob")[0]["name"] == "Bob"
    for name in ("Ada", "Bob"):
        found = library.find(name)
        assert found is not None
        assert_same(found, voice(name=name, origin=made.origin))
    assert "'Ada' already" in refused(2, "import", out)
    assert run("import", out, "--overwrite").exit_code == 0


def test_upstreams_file_comes_back(
    library: VoiceLibrary, loaded: None, tiny: cosyrt.Pipeline, tiny_folder: Path, clip: Path, tmp_path: Path
) -> None:
    """`spk2info.pt`: upstream's loader reads it, and importing it gives the same voices again."""
    told("add", "me", clip, "--text", "My own words.")
    result = run("export", "me", "ann", "me", "-o", tmp_path / "spk2info.pt", "--model", tiny_folder)
    assert (result.exit_code, result.stdout) == (0, f"me, ann · {tmp_path / 'spk2info.pt'}\n")
    entries = torch.load(tmp_path / "spk2info.pt", map_location="cpu", weights_only=True)
    kept = tiny.voice("me")
    assert list(entries) == ["me", "ann"] and entries["ann"]["embedding"].shape == (1, 192)
    assert entries["me"]["prompt_text"].tolist() == [tiny.tokenizer.encode(kept.text)]
    assert entries["me"]["flow_prompt_speech_token"].tolist() == [kept.speech_tokens.tolist()]
    library.remove("me")
    result = run("import", tmp_path / "spk2info.pt", "--model", tiny_folder)
    assert result.stderr == "cosyrt: 'ann' is the model's own and was left out\n"
    assert library.names() == ["me"]
    again = library.find("me")
    assert again is not None and again.origin.speech_tokenizer == kept.origin.speech_tokenizer
    assert (again.text, again.language) == (kept.text, kept.language)
    np.testing.assert_array_equal(again.mel, kept.mel)


def test_an_import_is_all_or_nothing(library: VoiceLibrary, tiny_folder: Path, tmp_path: Path) -> None:
    """A name among several that cannot be registered stops the import before the first file."""
    speaker = {"embedding": torch.ones(1, 192)}
    torch.save({"good": speaker, "a/b": speaker}, tmp_path / "spk2info.pt")
    message = refused(2, "import", tmp_path / "spk2info.pt", "--model", tiny_folder)
    assert "cannot be called 'a/b'" in message
    assert library.names() == []
    message = refused(2, "import", tmp_path / "spk2info.pt", "--model", tiny_folder, "--name", "x")
    assert "holds 2 voices" in message


def test_exports_that_make_no_sense(library: VoiceLibrary, tiny_folder: Path, tmp_path: Path) -> None:
    """Another suffix, two voices in a file for one, a file that is there: one line each."""
    library.add(voice())
    (tmp_path / "there.safetensors").write_text("mine")
    for arguments, words in (
        (["Ada", "-o", "ada.wav"], "neither .safetensors nor .pt"),
        (["Ada", "ann", "-o", "two.safetensors"], "holds one voice, not 2"),
        (["Ada", "-o", tmp_path / "there.safetensors"], "is there already"),
        (["Ada", "-o", "missing/v.pt"], "No such file or directory; give another file with -o"),
    ):
        assert words in refused(2, "export", *arguments, "--model", tiny_folder)
    assert (tmp_path / "there.safetensors").read_text() == "mine"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a voice" * 100])
@pytest.mark.parametrize("name", ["bad.pt", "bad.safetensors"])
def test_imports_that_are_damaged(
    library: VoiceLibrary, tiny_folder: Path, tmp_path: Path, name: str, data: bytes
) -> None:
    """Truncated or other files of either kind are one line, and nothing is registered."""
    (tmp_path / name).write_bytes(data)
    message = refused(3 if name == "bad.pt" else 6, "import", tmp_path / name, "--model", tiny_folder)
    assert name in message and library.names() == []
    assert "there is no file" in refused(2, "import", tmp_path / "missing.pt")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"family": "cosyvoice3"}, "is of cosyvoice3, the model is cosyvoice2"),
        ({"origin": Origin(speech_tokenizer="0" * 32)}, "another speech tokenizer than this model's"),
        ({"speech_tokens": np.full(5, 9_999)}, "has the speech token 9999, the model only 4000"),
    ],
)
def test_a_voice_of_another_model(
    library: VoiceLibrary, loaded: None, tiny: cosyrt.Pipeline, changes: dict[str, Any], words: str
) -> None:
    """A voice of another model is refused by name, in one line, where it is used."""
    library.add(voice(**changes))
    assert words in refused(6, "preview", "Ada", "-o", "a.wav")
    with pytest.raises(cosyrt.VoiceError, match=words):
        tiny.say("hello", voice="Ada")


def test_a_preview_is_heard(library: VoiceLibrary, loaded: None, clip: Path) -> None:
    """Hello in the voice's language, or a text of one's own."""
    told("add", "me", clip, "--text", "My own words.")
    hello = told("preview", "me", "-o", "hello.wav")
    own = told("preview", "me", "Yes.", "-o", "own.wav")
    assert (hello["voice"], own["voice"]) == ("me", "me")
    assert Audio.read("hello.wav").seconds > Audio.read("own.wav").seconds > 0


def test_removing_works_at_once(library: VoiceLibrary, tiny: cosyrt.Pipeline) -> None:
    """A model that has used a voice does not go on with it after its file was deleted."""
    library.add(voice(text=""))
    assert tiny.say("hello", voice="Ada").seconds > 0
    library.remove("Ada")
    with pytest.raises(cosyrt.VoiceNotFound):
        tiny.say("hello", voice="Ada")
