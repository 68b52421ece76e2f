"""Playback, through real processes: a fake player program on PATH that records what it is given."""

from __future__ import annotations

import io
import stat
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cosyrt import playback
from cosyrt.audio import Audio
from cosyrt.errors import AudioError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake players are shell scripts")
TONE = Audio(np.sin(np.arange(2_400, dtype=np.float32) / 9) / 2, 24_000)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A Linux machine with one sound card, no sounddevice, and an empty PATH that `install` adds to."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(playback, "ALSA_FOLDER", tmp_path / "snd")
    monkeypatch.delenv("PULSE_SERVER", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for folder in ("snd", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "snd" / "pcmC0D0p").touch()
    return tmp_path


def install(system: Path, name: str, script: str) -> None:
    program = system / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def player_of(system: Path, name: str, script: str, named: str | None = None) -> playback.Player:
    install(system, name, script)
    device = playback.find_device()
    assert device is not None and device.name == (named or name)
    return playback.Player(device)


def test_a_program_gets_every_sample_in_order(system):
    """aplay reads all chunks as one stream of 16-bit samples at the audio's rate."""
    player = player_of(system, "aplay", f"echo $* > {system}/arguments; exec /bin/cat > {system}/heard")
    player.write(TONE)
    player.write(TONE)
    player.close()
    assert (system / "heard").read_bytes() == TONE.to_bytes("pcm") * 2
    assert "-r 24000" in (system / "arguments").read_text()


def test_a_program_that_wants_a_file_gets_a_wav(system, monkeypatch):
    """afplay (macOS) cannot read its input: it gets one WAV file with all chunks, removed afterwards."""
    monkeypatch.setattr(sys, "platform", "darwin")
    player = player_of(system, "afplay", f'/bin/cat "$1" > {system}/heard; echo "$1" > {system}/name')
    player.write(TONE)
    player.write(TONE)
    player.close()
    samples, rate = soundfile.read(io.BytesIO((system / "heard").read_bytes()), dtype="int16")
    assert rate == 24_000
    assert samples.tobytes() == TONE.to_bytes("pcm") * 2
    assert not Path((system / "name").read_text().strip()).exists()


def test_no_device_without_a_card(system):
    """A player program alone is not enough: without a sound card nothing could be heard."""
    install(system, "aplay", "true")
    (system / "snd" / "pcmC0D0p").unlink()
    (system / "snd" / "pcmC0D0c").touch()  # a microphone is no loudspeaker
    assert playback.find_device() is None


def test_no_device_without_a_program(system):
    """A sound card alone is not enough either."""
    assert playback.find_device() is None


def test_a_pulse_server_is_a_device(system):
    """Desktops and WSL have a PulseAudio socket, with or without ALSA."""
    install(system, "paplay", "true")
    (system / "snd" / "pcmC0D0p").unlink()
    (system / "pulse").mkdir()
    (system / "pulse" / "native").touch()
    device = playback.find_device()
    assert device is not None and device.name == "paplay"


def test_a_failing_player_is_an_error_in_its_own_words(system):
    """What the program said last, and its exit code, reach the user with what to do instead."""
    player = player_of(system, "aplay", "echo 'device is busy' >&2; exit 3")
    player.write(TONE)
    with pytest.raises(AudioError, match=r"aplay cannot play: .*code 3 \(device is busy\).*-o speech.wav"):
        player.close()


def test_a_program_that_has_gone_is_an_error(system, monkeypatch):
    """Found and then removed, it is one line of error from `write`, and no file stays open."""
    made = []
    plain = playback.tempfile.TemporaryFile
    monkeypatch.setattr(playback.tempfile, "TemporaryFile", lambda: made.append(plain()) or made[-1])
    player = player_of(system, "aplay", "true")
    (system / "bin" / "aplay").unlink()
    with pytest.raises(AudioError, match=r"aplay cannot play: .*No such file.*; write a file"):
        player.write(TONE)
    assert [file.closed for file in made] == [True]
    player.close()


class Tape:
    """A device and its output: may take its time to open, may fail while it plays."""

    name = "tape"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.events = error, []
        self.opening, self.go = threading.Event(), threading.Event()

    def open(self, rate: int) -> Tape:
        self.opening.set()
        assert self.go.wait(60)
        return self

    def write(self, pcm: bytes) -> None:
        self.events.append("write")
        if self.error:
            raise self.error

    def finish(self) -> None:
        self.events.append("finish")

    def stop(self) -> None:
        self.events.append("stop")


def test_an_unforeseen_error_of_a_device_is_not_lost():
    """What is no failure of the device comes out of `close` and `write` as it is."""
    tape = Tape(ZeroDivisionError("a bug"))
    tape.go.set()
    player = playback.Player(tape)
    player.write(TONE)
    for again in (player.close, lambda: player.write(TONE)):
        with pytest.raises(ZeroDivisionError, match="a bug"):
            again()


def test_stop_while_the_device_opens():
    """A device that opens after the stop is silent, and what is written afterwards is not played."""
    tape = Tape()
    player = playback.Player(tape)
    writing = threading.Thread(target=player.write, args=(TONE,))
    writing.start()
    assert tape.opening.wait(60)
    player.stop()
    tape.go.set()
    writing.join(60)
    player.write(TONE)
    player.close()
    assert tape.events == ["stop", "finish"]


def test_a_player_that_was_stopped_is_no_failure(system):
    """A player that was stopped closes without an error."""
    player = player_of(system, "aplay", f"echo > {system}/started; exec /bin/sleep 600")
    player.write(TONE)
    while not (system / "started").exists():
        time.sleep(0.01)
    player.stop()
    player.close()


@pytest.mark.parametrize("mark", "'’")
def test_a_path_with_an_apostrophe(system, monkeypatch, mark):
    """PowerShell reads a program, in which it stands twice; other players are given the path as it is."""
    path = f"C:\\Users\\O{mark}Brien\\speech.wav"
    for name, platform, doubled in (("powershell", "win32", True), ("afplay", "darwin", False)):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(playback.shutil, "which", lambda program: program)
        device = playback.find_device()
        assert isinstance(device, playback.Program) and device.name == name
        expected = path.replace(mark, 2 * mark) if doubled else path
        assert expected in device.command(file=path)[-1]


def test_stop_ends_the_program(system):
    """Stopping kills the program at once; nothing waits for the audio that it still has."""
    player = player_of(system, "aplay", f"echo > {system}/started; exec /bin/sleep 600")
    for _ in range(50):
        player.write(TONE)
    while not (system / "started").exists():
        time.sleep(0.01)
    player.stop()
    assert player._thread is not None
    player._thread.join(60)
    assert not player._thread.is_alive()


def test_stop_before_the_file_is_whole_plays_nothing(system, monkeypatch):
    """A player that starts at the end does not start after a stop."""
    monkeypatch.setattr(sys, "platform", "darwin")
    player = player_of(system, "afplay", f"echo > {system}/started")
    player.write(TONE)
    player.stop()
    assert player._thread is not None
    player._thread.join(60)
    assert not (system / "started").exists()


def test_closing_without_audio_opens_nothing(system):
    """No audio, no process."""
    player_of(system, "aplay", f"echo > {system}/started").close()
    assert not (system / "started").exists()


class RecordingStream:
    """Stands for `sounddevice.RawOutputStream`: no sound card here can be asked what it played."""

    def __init__(self, samplerate: int, channels: int, dtype: str) -> None:
        assert (samplerate, channels, dtype) == (24_000, 1, "int16")
        self.events: list[str | bytes] = []
        type(self).last = self

    def __getattr__(self, name: str):
        return lambda *pcm: self.events.append(pcm[0] if pcm else name)


def test_sounddevice_is_preferred(system, monkeypatch):
    """With the optional package and an output device, no program is started."""
    fake = types.SimpleNamespace(
        PortAudioError=RuntimeError, query_devices=lambda kind: {}, RawOutputStream=RecordingStream
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    player = player_of(system, "aplay", f"echo > {system}/started", named="sounddevice")
    player.write(TONE)
    player.close()
    assert RecordingStream.last.events == ["start", TONE.to_bytes("pcm"), "stop", "close"]
    assert not (system / "started").exists()


def test_sounddevice_without_an_output_is_passed_over(system, monkeypatch):
    """The package alone is no loudspeaker: the next way to play is tried."""

    def no_device(kind: str) -> None:
        raise RuntimeError("Error querying device -1")

    monkeypatch.setitem(
        sys.modules,
        "sounddevice",
        types.SimpleNamespace(PortAudioError=RuntimeError, query_devices=no_device),
    )
    player_of(system, "aplay", "true")


def test_audio_plays_itself(system):
    """`play` waits until the player has heard everything."""
    install(system, "aplay", f"exec /bin/cat > {system}/heard")
    TONE.play()
    assert (system / "heard").read_bytes() == TONE.to_bytes("pcm")


def test_audio_without_a_device_says_what_to_do(system):
    """Where nothing could be heard, and where the player fails, `play` is an AudioError."""
    with pytest.raises(AudioError, match="there is no sound device; write a file"):
        TONE.play()
    install(system, "aplay", "exit 3")
    with pytest.raises(AudioError, match="exit code 3"):
        TONE.play()
