"""Playing audio while it is made: through sounddevice where it is installed, else through a program.

A device is only found where something could be heard, so that a headless machine writes a file instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Protocol

from cosyrt.errors import AudioError

# Device nodes, not /proc/asound/cards: a container sees its host's cards there and cannot use them.
ALSA_FOLDER = Path("/dev/snd")


class Sound(Protocol):
    """Audio as a player needs it; `cosyrt.Audio` is."""

    @property
    def rate(self) -> int:
        """Samples a second."""

    def to_bytes(self, format: str) -> bytes:
        """Encode as 16-bit samples where the format is `pcm`."""


class Output(Protocol):
    """An open device that takes 16-bit mono samples."""

    def write(self, pcm: bytes) -> None:
        """Take samples; waits while the device has enough of them."""

    def finish(self) -> None:
        """Wait until everything has been played."""

    def stop(self) -> None:
        """Stop playing at once; may be called from any thread, at any time."""


class Device(Protocol):
    """Something that can be opened for playing."""

    @property
    def name(self) -> str:
        """The name of what plays, for messages."""

    def open(self, rate: int) -> Output:
        """Start it for audio of `rate` samples a second."""


@dataclass(frozen=True, slots=True)
class Program:
    """A player program: raw samples on its standard input, or a WAV file where `{file}` stands."""

    path: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The program's name without its folder."""
        return Path(self.path).stem

    def open(self, rate: int) -> Output:
        """Start it, or get ready to start it once the file is whole."""
        if any("{file}" in argument for argument in self.arguments):
            return _FileOutput(self, rate)
        return _PipeOutput(self.command(rate=rate))

    def command(self, **values: object) -> list[str]:
        """The command line, with the values filled in."""
        return [self.path, *(_filled(argument, values) for argument in self.arguments)]


def _filled(argument: str, values: dict[str, object]) -> str:
    if "'{file}'" in argument:  # text of PowerShell's, which has five marks for an apostrophe
        values = {name: re.sub("['‘’‚‛]", r"\g<0>\g<0>", str(value)) for name, value in values.items()}
    return argument.format(**values)


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """The system's default output, through the optional package `sounddevice`."""

    name: str = "sounddevice"

    def open(self, rate: int) -> Output:
        """Open a blocking stream of 16-bit samples."""
        return _StreamOutput(rate)


PROGRAMS = {
    "linux": (
        ("aplay", "-q -t raw -f S16_LE -c 1 -r {rate} -"),
        ("paplay", "--raw --format=s16le --channels=1 --rate={rate}"),
        ("ffplay", "-nodisp -autoexit -loglevel error -f s16le -ar {rate} -i -"),
    ),
    "darwin": (("afplay", "{file}"),),
    "win32": (("powershell", "-NoProfile -Command (New-Object|Media.SoundPlayer|'{file}').PlaySync()"),),
}


def find_device() -> Device | None:
    """The best device to play on, or None where nothing could be heard."""
    if _sounddevice_has_output():
        return SoundDevice()
    if sys.platform == "linux" and not _linux_has_output():
        return None
    for name, arguments in PROGRAMS.get(sys.platform, ()):
        if path := shutil.which(name):
            return Program(path, tuple(word.replace("|", " ") for word in arguments.split()))
    return None


def _sounddevice_has_output() -> bool:
    try:
        import sounddevice

        sounddevice.query_devices(kind="output")
    except (ImportError, OSError):  # not installed, or installed without its PortAudio library
        return False
    except sounddevice.PortAudioError:  # no output device
        return False
    return True


def _linux_has_output() -> bool:
    """Whether there is an ALSA playback device or a PulseAudio socket, which PipeWire and WSL have too."""
    if any(os.access(node, os.W_OK) for node in ALSA_FOLDER.glob("pcm*p")):
        return True
    socket = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere")) / "pulse" / "native"
    return "PULSE_SERVER" in os.environ or socket.exists()


def play(audio: Sound) -> None:
    """Play audio and wait until it has been heard; an interruption stops it at once.

    Raises:
        AudioError: there is no sound device, or it failed.
    """
    device = find_device()
    if device is None:
        raise AudioError("there is no sound device; write a file, such as audio.write('speech.wav')")
    player = Player(device)
    try:
        player.write(audio)
        player.close()
    except BaseException:
        player.stop()
        raise


class Player:
    """Plays audio in the order it is written, without making the writer wait.

    Raises:
        AudioError: the device failed; from `write` or `close`, whichever comes next.
    """

    def __init__(self, device: Device) -> None:
        self.name = device.name
        self._device = device
        self._output: Output | None = None
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._failure: Exception | None = None
        self._stopped = Event()

    def write(self, audio: Sound) -> None:
        """Play audio after what was written before; returns at once, and after `stop` plays nothing."""
        if self._failure:
            raise self._failure
        if self._stopped.is_set():
            return
        if self._thread is None:
            self._thread = self._opened(audio.rate)
            self._thread.start()
        self._waiting.put(audio.to_bytes("pcm"))

    def close(self) -> None:
        """Wait until everything has been played."""
        self._waiting.put(None)
        while self._thread and self._thread.is_alive():
            self._thread.join(0.1)  # a join without a limit cannot be interrupted on Windows
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        """Stop playing at once."""
        self._stopped.set()
        self._waiting.put(None)
        if self._output:
            self._output.stop()

    def _opened(self, rate: int) -> Thread:
        try:
            output = self._output = self._device.open(rate)
        except (OSError, AudioError) as error:
            raise self._failed(error) from error
        if self._stopped.is_set():  # meanwhile: `stop` looks for an output after it has said so
            output.stop()
        return Thread(target=self._feed, args=(output,), name="playback", daemon=True)

    def _feed(self, output: Output) -> None:
        try:
            while (pcm := self._waiting.get()) is not None and not self._stopped.is_set():
                output.write(pcm)
            output.finish()
        except (OSError, AudioError) as error:
            if not self._stopped.is_set():  # a player that was ended says so
                self._failure = self._failed(error)
        except Exception as error:
            self._failure = error

    def _failed(self, error: Exception) -> AudioError:
        return AudioError(f"{self.name} cannot play: {error}; write a file with -o speech.wav")


class _PipeOutput:
    """A program that reads raw samples from its standard input."""

    def __init__(self, command: list[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by finish
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors
            )
        except BaseException:
            self._errors.close()
            raise

    def write(self, pcm: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(pcm)
            self._process.stdin.flush()
        except BrokenPipeError:
            self.finish()  # its exit code and last words say more than the pipe does
            raise

    def finish(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        code = self._process.wait()
        with self._errors:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
        if code:
            raise AudioError(f"it stopped with exit code {code}" + (f" ({said[-1]})" if said else ""))

    def stop(self) -> None:
        self._process.kill()


class _FileOutput:
    """A program that wants a whole WAV file: it starts when everything has been given."""

    def __init__(self, program: Program, rate: int) -> None:
        self._program, self._rate = program, rate
        self._pcm = bytearray()
        self._playing: _PipeOutput | None = None
        self._stopped = Event()

    def write(self, pcm: bytes) -> None:
        self._pcm += pcm

    def finish(self) -> None:
        if self._stopped.is_set():
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "speech.wav"
            with wave.open(str(file), "wb") as out:
                out.setparams((1, 2, self._rate, 0, "NONE", ""))
                out.writeframes(self._pcm)
            self._playing = _PipeOutput(self._program.command(file=file))
            if self._stopped.is_set():
                self._playing.stop()
            self._playing.finish()

    def stop(self) -> None:
        self._stopped.set()
        if self._playing:
            self._playing.stop()


class _StreamOutput:
    """A stream of the package `sounddevice`."""

    def __init__(self, rate: int) -> None:
        import sounddevice

        self._error: type[Exception] = sounddevice.PortAudioError
        with self._readable():
            self._stream: Any = sounddevice.RawOutputStream(samplerate=rate, channels=1, dtype="int16")
            self._stream.start()

    def write(self, pcm: bytes) -> None:
        with self._readable():
            self._stream.write(pcm)

    def finish(self) -> None:
        with self._readable():
            self._stream.stop()
            self._stream.close()

    def stop(self) -> None:
        with self._readable():
            self._stream.abort()

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise AudioError(str(error)) from error
