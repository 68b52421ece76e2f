"""Requests: values that are checked once, can be pickled, and say all that decides the audio."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request, SpeakingStyle
from cosyrt.errors import UsageError, VoiceError
from cosyrt.text.split import Piece
from tests.engine.pipelines import SHORT, TEXT, joined, prompted, same


@pytest.mark.parametrize("speed", [0.249, 4.01, float("nan"), "1", None, True + 4])
def test_a_speed_out_of_range_is_refused(speed: Any) -> None:
    """The error says the value and the range."""
    with pytest.raises(UsageError, match=r"speed .* is out of range; choose 0\.25 to 4"):
        Request(text=SHORT, speed=speed)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None])
def test_a_seed_out_of_range_is_refused(seed: Any) -> None:
    """The error says the value and the range; the largest seed is none of them."""
    with pytest.raises(UsageError, match=r"seed .* is out of range"):
        Request(text=SHORT, seed=seed)
    assert Request(seed=2**64 - 1).seed == 2**64 - 1


def test_numbers_of_numpy_are_numbers() -> None:
    """A speed and a seed from an array make the same request as Python's."""
    assert Request(speed=np.float32(1.5), seed=np.int64(7)) == Request(speed=1.5, seed=7)


def test_what_is_streamed_is_chunked() -> None:
    """Audio can only be given out early where no frame looks past its chunk."""
    assert Request(streamed=True).chunked and not Request().chunked


def test_parts_of_a_text() -> None:
    """A text is one part; what is no text is refused when its turn comes."""
    assert list(Request(text=SHORT).text_parts()) == [SHORT]
    assert list(Request(text=["a", "b"]).text_parts()) == ["a", "b"]
    for wrong in (3, ["a", 3]):
        with pytest.raises(UsageError, match="cannot speak 3"):
            list(Request(text=wrong).text_parts())  # type: ignore[arg-type]


def test_a_pickled_request_gives_the_same_audio(tiny: Pipeline) -> None:
    """Voice, style, speed and seed come through; the samples are equal, streamed and whole."""
    for request in (
        Request(text=TEXT, voice=prompted(), speed=1.2, seed=3, streamed=True),
        Request(
            text=[TEXT, " And more."], voice="ann", style=SpeakingStyle(cross_lingual=True), chunked=True
        ),
        Request(recording=Audio(np.zeros(24_000, np.float32), 24_000)),
    ):
        again = pickle.loads(pickle.dumps(request))
        assert replace(again, voice=None, recording=None) == replace(request, voice=None, recording=None)
        if request.recording is None:
            assert same(joined(tiny.run(again)), joined(tiny.run(request)), 0)


def test_say_and_stream_are_requests(tiny: Pipeline) -> None:
    """`say` and `stream` give what `run` gives of the request that they stand for."""
    voice = prompted()
    whole = tiny.say(TEXT, voice=voice, seed=5, chunked=True)

    assert same(joined(tiny.run(Request(text=TEXT, voice=voice, seed=5, chunked=True))), whole.samples, 0)
    assert same(
        joined(tiny.run(Request(text=TEXT, voice=voice, seed=5, streamed=True))),
        joined(tiny.stream(TEXT, voice=voice, seed=5)),
        0,
    )


def test_a_name_stands_for_the_voice_that_was_meant(tiny: Pipeline) -> None:
    """With a digest, a voice of that name and other content is an error and not another voice."""
    request = Request(text=SHORT, voice="ann", voice_digest=tiny.voice("ann").digest)

    assert joined(tiny.run(request)).size
    with pytest.raises(VoiceError, match="'ann' is not the one that was asked for"):
        next(tiny.run(replace(request, voice_digest=prompted().digest)))


def test_a_pickled_voice_finds_its_prompt(tiny: Pipeline) -> None:
    """The prompt of a voice is prepared once, whichever process the voice comes from."""
    voice = prompted()
    again = pickle.loads(pickle.dumps(voice))

    assert again is not voice and again.digest == voice.digest
    assert tiny.conditions.of(again) is tiny.conditions.of(voice)
    assert tiny.conditions.of(prompted(text="Other words.")) is not tiny.conditions.of(voice)


def test_each_text_is_encoded_once(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splitting measures candidates for pieces in tokens; what was measured is not encoded again."""
    encoded: list[str] = []
    encode = type(tiny.tokenizer).encode

    def counted(self: Any, text: str) -> list[int]:
        encoded.append(text)
        return encode(self, text)

    monkeypatch.setattr(type(tiny.tokenizer), "encode", counted)
    source = tiny.open(Request(text=TEXT * 8, voice=prompted()))
    spoken = [source.encode(piece.text) for piece in source.items if isinstance(piece, Piece)]

    assert len(spoken) > 1
    assert len(encoded) == len(set(encoded))


def test_every_text_has_a_most() -> None:
    """A text, a part of one, an instruction or a name that is too long is refused in one short line."""
    for make in (
        lambda: Request(text="x" * 2_000_001),
        lambda: list(Request(text=["x", "x" * 2_000_001]).text_parts()),
        lambda: Request(style=SpeakingStyle(instruction="x" * 4_001)),
        lambda: Request(voice="x" * 501),
    ):
        with pytest.raises(UsageError, match="give less at once") as refused:
            make()
        assert len(str(refused.value)) < 100
