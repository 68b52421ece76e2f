"""`cosyrt say` around the speaking: texts in, files and streams out, what is printed, how it ends."""

from __future__ import annotations

import io
import json
import logging

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cosyrt import Lexicon, Pauses, playback
from cosyrt.audio import Audio
from cosyrt.cli import main, say
from cosyrt.cli.say import _decoded
from cosyrt.cli.spoken import GREETING, opened
from cosyrt.errors import SpeechError, TextError
from cosyrt.loudness import loudness_of
from cosyrt.text.captions import Caption, read_captions, srt


@pytest.fixture
def run(tones, tmp_path, monkeypatch):
    """Runs a command in an empty folder on a machine without sound."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(playback, "find_device", lambda: None)

    def invoke(*arguments: str, input: str | bytes = b""):
        return CliRunner().invoke(main, list(arguments), input=input)

    return invoke


def samples_of(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="int16")[0]


def test_without_text_it_says_hello_in_two_languages(run, tones):
    """Each sentence of the greeting is spoken by the default voice of its language."""
    result = run("say")
    assert result.exit_code == 0
    assert [(asked.text, asked.voice) for asked in tones.asked] == [
        (GREETING["en"], "ann"),
        (GREETING["zh"], "mei"),
    ]
    assert result.stdout.startswith("ann, mei · ")


def test_a_named_voice_says_hello_in_its_own_language(run, tones):
    """A Mandarin voice is not made to read English."""
    run("say", "--voice", "mei")
    assert [asked.text for asked in tones.asked] == [GREETING["zh"]]


def test_without_a_sound_device_it_writes_a_file_and_says_so(run, tmp_path):
    """On a headless machine the speech is in speech.wav, and the one line of output says why."""
    result = run("say", "hello")
    assert soundfile.info(tmp_path / "speech.wav").frames == 1_200
    assert result.stdout.count("\n") == 1
    assert result.stdout.endswith("cpu · speech.wav (there is no sound device)\n")


def test_with_a_sound_device_it_plays(run, tones, tmp_path, monkeypatch):
    """With a player, all samples go there and no file is written."""
    player = tmp_path / "aplay"
    player.write_text("#!/bin/sh\nexec cat > heard\n")
    player.chmod(0o755)
    monkeypatch.setattr(playback, "find_device", lambda: playback.Program(str(player), ()))
    result = run("say", "hello world", "--stream")
    assert result.stdout.endswith("played by aplay\n")
    assert len((tmp_path / "heard").read_bytes()) == 2 * 240 * len("hello world")
    assert not (tmp_path / "speech.wav").exists()


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "m4a"])
@pytest.mark.parametrize("how", ["--stream", "--quiet"])
def test_every_format_is_written(run, tmp_path, suffix, how):
    """The name of the file chooses its format; streamed and whole give a file of the right length."""
    from cosyrt.audio import Audio

    text = "a sentence of forty characters in a file"
    assert run("say", text, "-o", f"out.{suffix}", how).exit_code == 0
    assert Audio.read(tmp_path / f"out.{suffix}").seconds == pytest.approx(len(text) * 0.01, abs=0.1)


def test_standard_output_carries_nothing_but_a_wav(run):
    """`-o -` gives a whole WAV of known length; the line about it goes to standard error."""
    result = run("say", "hello world", "-o", "-")
    assert soundfile.info(io.BytesIO(result.stdout_bytes)).frames == 240 * len("hello world")
    assert "standard output" in result.stderr


def test_a_stream_on_standard_output_has_its_length_where_it_can_seek(run, monkeypatch):
    """`--stream -o -` into what can be moved in writes the same bytes as without `--stream`."""
    monkeypatch.setenv("COSYRT_LABEL_OPTIONAL", "1")  # each label has an id of its own
    whole = run("say", "hello world", "-o", "-", "--no-label").stdout_bytes
    streamed = run("say", "hello world", "-o", "-", "--no-label", "--stream").stdout_bytes
    assert streamed == whole


def test_json_is_one_object_with_the_measurements(run):
    """--json gives the same facts for programs, with the loading time apart from the speaking time."""
    facts = json.loads(run("say", "hello", "-o", "a.wav", "--json").stdout)
    assert (facts["voice"], facts["file"], facts["player"], facts["device"]) == ("ann", "a.wav", None, "cpu")
    assert facts["audio_s"] == 0.05
    assert 0 < facts["first_audio_ms"] <= 1_000 * facts["work_s"] + 1  # both are rounded
    assert facts["load_s"] >= 0


def test_what_is_asked_for_as_json_is_printed_when_quiet(run):
    """-q --json prints the object and nothing else."""
    assert json.loads(run("say", "hello", "-o", "a.wav", "-q", "--json").stdout)["file"] == "a.wav"


@pytest.mark.parametrize(("how", "said"), [("-q", ""), ("-v", "cosyrt: the end is near\n")])
def test_quiet_and_verbose_reach_the_library(run, tones, monkeypatch, how, said):
    """-q leaves only the file, not even the library's warnings; -v shows its notes."""
    log = logging.getLogger("cosyrt")
    monkeypatch.setattr(log, "level", log.level)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(tones, "default_voice", lambda text: log.info("the end is near") or "ann")
    result = run("say", "hello", how)
    assert result.stderr == said
    assert bool(result.stdout) is (how == "-v")


def test_options_reach_the_pipeline(run, tones, tmp_path):
    """Model, device, voice, mode, speed and seed arrive where they belong."""
    where = ("--model", "m", "--device", "d")
    how = ("--voice", "mei", "--speed", "1.5", "--seed", "7", "--instruct", "softly", "--cross-lingual")
    (tmp_path / "words.toml").write_text('GIF = "jiff"')
    how = (*how, "--as-written", "--lexicon", "words.toml", "--sentence-gap", "0.2", "--paragraph-gap", "1")
    run("say", "hello", *where, *how)
    assert tones.loaded == ("m", "d")
    assert vars(tones.asked[0]) == {
        "text": "hello",
        "voice": "mei",
        "speed": 1.5,
        "seed": 7,
        "instruction": "softly",
        "cross_lingual": True,
        "as_written": True,
        "lexicon": Lexicon((("GIF", "jiff"),)),
        "pauses": Pauses(sentence_s=0.2, paragraph_s=1),
    }


def test_a_stream_may_begin_a_sentence_before_it_is_complete(run, tones):
    """--interleave reaches the stream, and asks for --stream."""
    run("say", "-", "--stream", "--interleave", input=b"hello")
    assert tones.asked[0].interleave is True
    result = run("say", "hello", "--interleave")
    assert (result.exit_code, result.stderr) == (
        2,
        "cosyrt: --interleave reads the text while it is spoken; add --stream\n",
    )


def test_warnings_of_the_library_are_in_the_json_line(run, tones, monkeypatch):
    """A program that reads --json learns that speech was cut; the next run starts without warnings."""
    logging.getLogger("cosyrt").setLevel(logging.NOTSET)  # -q of another test stays in the process
    log = logging.getLogger("cosyrt.engine")
    monkeypatch.setattr(tones, "default_voice", lambda text: log.warning("speech cut") or "ann")
    assert json.loads(run("say", "hello", "--json").stdout)["warnings"] == ["speech cut"]
    monkeypatch.undo()
    assert logging.getLogger("cosyrt").handlers == []


def test_a_reference_clip_speaks(run, tones):
    """--ref makes a voice for this one run."""
    run("say", "hello", "--ref", "me.wav", "--ref-text", "it is me")
    assert tones.asked[0].voice == "reference"


@pytest.mark.parametrize("how", [(), ("--stream",)])
def test_text_comes_from_standard_input(run, tones, how):
    """`-` reads UTF-8, with or without the byte-order mark that Windows puts first."""
    assert run("say", "-", *how, input="\ufeff你好。\n".encode()).exit_code == 0
    assert [(asked.text, asked.voice) for asked in tones.asked] == [("你好。\n", "mei")]


@pytest.mark.parametrize(
    ("arguments", "input", "code", "message"),
    [
        (["-"], b" \n", 4, "standard input is empty"),
        (["-", "--stream"], b" \n", 4, "standard input is empty"),
        (["-"], b"caf\xe9", 4, "not UTF-8"),
        (["  "], b"", 4, "the text is empty"),
        (["hi", "-o", "a.xyz"], b"", 5, "a.xyz names no audio format; end it in .wav"),
        (["hi", "-o", "no/a.wav"], b"", 5, "cannot write no/a.wav"),
        (["hi", "--voice", "bob"], b"", 6, "no voice is called 'bob'; this model has ann, mei"),
        (["hi", "--voice", "ann", "--ref", "a.wav"], b"", 2, "give one of them"),
        (["hi", "--ref-text", "a"], b"", 2, "give the clip with --ref"),
    ],
)
def test_a_mistake_is_one_line_and_its_own_exit_code(run, arguments, input, code, message):
    """The user reads one line on standard error that starts with the program's name; no traceback."""
    result = run("say", *arguments, input=input)
    assert result.exit_code == code
    assert result.stderr.startswith("cosyrt: ") and result.stderr.count("\n") == 1
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("name", ["a.xyz", "folder.wav", "x" * 300 + ".wav", "missing/a.wav"])
def test_a_bad_name_is_refused_before_the_model_is_loaded(run, tones, tmp_path, name):
    """Nobody waits for a model to learn that the file's name is wrong."""
    (tmp_path / "folder.wav").mkdir()
    result = run("say", "hi", "-o", name)
    assert (result.exit_code, result.stderr.count("\n")) == (5, 1)
    assert not hasattr(tones, "loaded")


def test_verbose_shows_where_an_error_came_from(run):
    """-v adds the traceback above the line."""
    result = run("say", "-", "-v")
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("cosyrt: standard input")


@pytest.mark.parametrize("how", [(), ("--stream",)])
@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "cosyrt: stopped\n"),
        (SpeechError("no speech"), 1, "cosyrt: no speech\n"),
        (ZeroDivisionError("x"), 1, "cosyrt: this is a bug: ZeroDivisionError: x"),
    ],
)
def test_ending_early_leaves_no_file(run, tones, tmp_path, how, failure, code, message):
    """After Ctrl-C or an error no file looks finished, and the pipeline is closed."""
    tones.fail_after = (2, failure)
    (tmp_path / "a.wav").write_bytes(b"older")
    result = run("say", "hello world, hello world", "-o", "a.wav", *how)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(message)
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"older"
    assert tones.closed == 1


@given(st.text(), st.integers(1, 5))
def test_standard_input_in_any_pieces_is_the_same_text(text, size):
    """However a pipe cuts the bytes, also inside a character, the same characters arrive."""

    class Slow(io.BytesIO):
        def read1(self, _size=-1):
            return super().read1(size)

    data = text.encode(errors="replace")
    assert "".join(_decoded(Slow(data))) == data.decode("utf-8-sig")


@given(st.lists(st.text(" ab\n", max_size=3), max_size=6))
def test_the_opening_takes_nothing_away(pieces):
    """Looking at the first words to choose a voice keeps all the text, and finds at least one word."""
    if not "".join(pieces).strip():
        with pytest.raises(TextError):
            opened(iter(pieces))
        return
    opening, text = opened(iter(pieces))
    assert opening.strip()
    assert "".join(text) == "".join(pieces)


def test_the_command_is_a_click_command():
    """`say` can be found by the page generator under its own name."""
    assert main.commands["say"] is say


def test_a_file_is_spoken_and_a_text_beside_it_refused(run, tones, tmp_path):
    """--file takes the place of TEXT."""
    (tmp_path / "a.txt").write_text("from a file")
    assert run("say", "--file", "a.txt").exit_code == 0
    assert tones.asked[0].text == "from a file"
    result = run("say", "hello", "--file", "a.txt")
    assert (result.exit_code, result.stderr) == (
        2,
        "cosyrt: both TEXT and --file say what to speak; give one of them\n",
    )


def test_what_would_be_spoken_is_shown(tmp_path, monkeypatch):
    """--show-text prints each piece and its sounds, and makes no sound."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["say", "I have 5. **OK** 好", "--show-text"])
    assert result.output.split("\n")[:2] == ["I have five.", "    AY1 | HH AE1 V | F AY1 V ."]
    assert result.exit_code == 0 and not list(tmp_path.iterdir())


def test_how_a_file_is_written(run, tones, tmp_path):
    """--format, --rate and --gain change the file, not what is asked of the pipeline."""
    assert run("say", "hello", "-o", "plain.wav").exit_code == 0
    asked = ("--format", "flac", "--rate", "8000", "--gain", "-6.0206")
    assert run("say", "hello", "-o", "a.bin", *asked).exit_code == 0
    plain, other = (soundfile.read(tmp_path / name) for name in ("plain.wav", "a.bin"))
    assert (plain[1], other[1]) == (24_000, 8_000)
    assert np.abs(other[0]).max() == pytest.approx(np.abs(plain[0]).max() / 2, rel=0.1)
    assert vars(tones.asked[0]) == vars(tones.asked[1])


def test_a_loudness_is_of_the_whole(run, tones, tmp_path):
    """--loudness waits for the end, in a stream too; with --gain it is refused."""
    result = run("say", "hello " * 20, "--stream", "-o", "-", "--loudness", "-20")
    samples = samples_of(result.stdout_bytes) / 32_768
    assert loudness_of(Audio(samples.astype(np.float32), 24_000)) == pytest.approx(-20, abs=0.2)
    result = run("say", "hello", "--loudness", "-20", "--gain", "3")
    assert (result.exit_code, result.stderr) == (
        2,
        "cosyrt: both --gain and --loudness say how loud it is; give one of them\n",
    )


def test_a_format_without_a_file_is_refused(run, tones):
    """Nothing is written where it is played."""
    result = run("say", "hello", "--rate", "8000")
    assert (result.exit_code, result.stderr) == (
        2,
        "cosyrt: --format and --rate say how a file is written; give one with -o, or -o -\n",
    )


def test_subtitles_have_the_written_sentences(run, tones, tmp_path):
    """--subtitles writes each sentence and its time, as text and as a stream from standard input."""
    text = "I have it. **You** have none."
    assert run("say", text, "-o", "a.wav", "--subtitles", "a.srt").exit_code == 0
    (tmp_path / "b.md").write_text(text)
    assert run("say", "--file", "b.md", "-o", "a.wav", "--stream", "--subtitles", "b.VTT").exit_code == 0
    shown = read_captions((tmp_path / "a.srt").read_text())
    assert [caption.text for caption in shown] == ["I have it.", "You have none."]
    assert shown == read_captions((tmp_path / "b.VTT").read_text())
    assert shown[1].end_s == pytest.approx(soundfile.info(tmp_path / "a.wav").duration, abs=0.002)


def test_subtitles_go_through_both_greetings(run, tones, tmp_path):
    """The times of a second text begin where the first one ends."""
    assert run("say", "-o", "a.wav", "--subtitles", "a.srt").exit_code == 0
    shown = read_captions((tmp_path / "a.srt").read_text())
    assert [caption.begin_s for caption in shown] == sorted(caption.begin_s for caption in shown)
    assert "".join(caption.text for caption in shown[2:]) == GREETING["zh"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subtitles", "a.txt"], "a.txt names no kind of subtitles; end it in .srt or .vtt"),
        (["--subtitles", "none/a.srt"], "cannot write none/a.srt"),
        (["--interleave", "--stream", "--subtitles", "a.srt"], "--interleave knows no times"),
    ],
)
def test_subtitles_that_cannot_be_written(run, tones, arguments, message):
    """One line says why, before anything is spoken."""
    result = run("say", "hello", "-o", "a.wav", *arguments)
    assert result.exit_code == 2 and result.stderr.startswith(f"cosyrt: {message}")
    assert tones.asked == []


def test_captions_are_spoken_on_time(run, tones, tmp_path):
    """--file with an .srt: each caption begins when it is shown."""
    (tmp_path / "a.srt").write_text(srt([Caption(0.5, 1, "hello"), Caption(2, 3, "there you are")]))
    assert run("say", "--file", "a.srt", "-o", "a.wav", "--subtitles", "b.srt").exit_code == 0
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert not samples[: rate // 2].any() and not samples[round(0.55 * rate) : 2 * rate].any()
    assert len(samples) == pytest.approx((2 + 0.13) * rate, abs=2)
    assert [(each.begin_s, each.text) for each in read_captions((tmp_path / "b.srt").read_text())] == [
        (0.5, "hello"),
        (2.0, "there you are"),
    ]
