"""The voices that a model can speak with: its own, registered ones, and those made from recordings."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from cosyrt.arguments import check_kind
from cosyrt.audio import Audio, Source
from cosyrt.engine.model import DescribedModel
from cosyrt.engine.request import Request
from cosyrt.errors import VoiceError
from cosyrt.text.normalize import spoken_language
from cosyrt.voice.encoder import VoiceEncoder
from cosyrt.voice.library import VoiceLibrary
from cosyrt.voice.reference import MAX_REFERENCE_S, speech_tokenizer_digest
from cosyrt.voice.spk2info import voices_of
from cosyrt.voice.transcript import warn_of_misfit
from cosyrt.voice.voice import Voice

Recording = Audio | Source  # in memory, a file, or what is in one


def read_recording(source: Recording, max_s: float | None = None) -> Audio:
    """The audio of a recording, wherever it is.

    Raises:
        AudioError: it cannot be read, or is longer than `max_s`.
    """
    return source if isinstance(source, Audio) else Audio.read(source, max_s=max_s)


class Voices:
    """Voices of one model, by name or as values."""

    def __init__(self, model: DescribedModel) -> None:
        self.model = model
        self.voices: dict[str, Voice] = voices_of(model.folder)
        self.registered = VoiceLibrary()

    @property
    def family(self) -> str:
        """Which CosyVoice: `cosyvoice2`."""
        return self.model.folder.family

    @cached_property
    def encoder(self) -> VoiceEncoder:
        """Turns reference audio into voices; its ONNX sessions are made on first use and kept."""
        return VoiceEncoder(self.model.folder, self.model.settings.chunking.first_boundary)

    def voice_from(
        self,
        audio: Recording,
        text: str | None,
        name: str = "reference",
        *,
        license: str = "",
        consent: str = "",
        as_recorded: bool = False,
    ) -> Voice:
        """A voice from reference audio (1 to 30 s) and its transcript; `registered.add(voice)` keeps it.

        An empty transcript, or None, stands for one that is not known. Long silence is trimmed, the ends
        fade, and quiet is added behind, so that a sound that was cut does not leak into what is said;
        `as_recorded` keeps the samples exactly.

        Raises:
            UsageError: a text, name, license or consent that is no str; audio of no kind that can be read.
            AudioError: the audio cannot be read or is unfit.
            ModelError: the folder lacks an encoder or it cannot be used.
        """
        for what, given in ("name", name), ("license", license), ("consent", consent), ("text", text or ""):
            check_kind(given, str, f"the {what} of a voice", "give a str")
        if not isinstance(audio, str | Path):  # of a file the encoder keeps the digest
            audio = read_recording(audio, MAX_REFERENCE_S)
        voice = self.encoder.encode(
            audio, text or "", name, license=license, consent=consent, as_recorded=as_recorded
        )
        warn_of_misfit(voice.text, voice.prompt_s)
        return voice

    def voice(self, name: str) -> Voice:
        """A voice of the model, else a registered one.

        Raises:
            VoiceNotFound: there is none of that name.
            VoiceError: a registered one that cannot be used with this model.
            UsageError: a name that is no str.
        """
        check_kind(name, str, "the name of a voice", "give a str")
        return self.fitting(self.registered.named(name, self.voices))

    def fitting(self, voice: Voice) -> Voice:
        """The voice, if this model can speak with it.

        Raises:
            VoiceError: it is of another family, or its speech tokens are of another model.
            UsageError: it is no voice.
        """
        check_kind(voice, Voice, "the voice", "give a Voice, such as voice_from makes")
        own, highest = speech_tokenizer_digest(self.model.folder), int(voice.speech_tokens.max(initial=0))
        wrong = ""
        if voice.family != self.family:
            wrong = f"is of {voice.family}, the model is {self.family}"
        elif own and voice.origin.speech_tokenizer not in ("", own):
            wrong = "was made with another speech tokenizer than this model's"
        elif highest >= (vocabulary := self.model.settings.flow.speech_vocabulary):
            wrong = f"has the speech token {highest}, the model only {vocabulary}"
        if wrong:
            raise VoiceError(f"the voice {voice.name!r} {wrong}; make it again with this model")
        return voice

    def default_voice(self, text: str) -> str:
        """The first voice of the text's language, else the first voice.

        Raises:
            VoiceError: the model comes without voices. UsageError: a text that is no str.
        """
        check_kind(text, str, "the text", "give a str")
        if not self.voices:
            raise VoiceError(
                f"{self.model.folder.path} comes without voices; give a reference clip and its transcript"
            )
        language = spoken_language(text)
        fitting = (name for name, voice in self.voices.items() if voice.language == language)
        return next(fitting, next(iter(self.voices)))

    def voice_of(self, request: Request, text: str) -> Voice:
        """The voice that a request asks for; without one, that of the text's language.

        Raises:
            VoiceNotFound, VoiceError: there is no such voice, or it cannot be used with this model.
        """
        asked = self.default_voice(text) if request.voice is None else request.voice
        voice = self.voice(asked) if isinstance(asked, str) else self.fitting(asked)
        if request.voice_digest not in ("", voice.digest):
            raise VoiceError(f"the voice {voice.name!r} is not the one that was asked for; it has changed")
        return voice
