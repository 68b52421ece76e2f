"""The mel of a stream against the mel of one pass."""

from __future__ import annotations

import gc
import logging
import sys
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cosyrt.engine import mel_stream
from cosyrt.engine.chunks import Chunking
from cosyrt.engine.mel_stream import Condition, Conditions, MelStream
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.errors import SpeechError
from cosyrt.models.layers import attention_mask
from cosyrt.models.solver import (
    NOISE_FRAMES,
    SolverState,
    Solving,
    begin,
    euler,
    fixed_noise,
    solve,
    solved,
    step,
)
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs, Velocity
from cosyrt.units import Rates
from cosyrt.voice.voice import Voice
from tests import tiny, tiny3

CPU = torch.device("cpu")
CHUNKING = Chunking()
RATES = Rates()
PROMPTS = [0, 1, 12, 24, 25, 40]


def voice(prompt_tokens: int) -> Voice:
    random = np.random.default_rng(prompt_tokens)
    return Voice(
        name="test",
        speaker=random.standard_normal(192),
        speech_tokens=random.integers(0, tiny.SPEECH_VOCABULARY, prompt_tokens),
        mel=random.standard_normal((2 * prompt_tokens, 80)),
    )


def speech(count: int) -> list[int]:
    tokens: list[int] = np.random.default_rng(7).integers(0, tiny.SPEECH_VOCABULARY, count).tolist()
    return tokens


def stream_of(
    stages: Stages, prompt_tokens: int, *, chunked: bool, cache_bytes: int = sys.maxsize
) -> MelStream:
    condition = Condition.of(voice(prompt_tokens), stages, CPU)
    condition.cache_bytes = cache_bytes
    return MelStream(stages, tiny.FLOW, condition, chunked=chunked, rates=RATES)


def in_parts(mels: MelStream, tokens: list[int]) -> list[Tensor]:  # [1, 80, M] each
    """The mel as a stream makes it: to every boundary whose look-ahead is there, then to the end."""
    last = len(tokens) - CHUNKING.lookahead_tokens
    boundaries = takewhile(
        lambda boundary: boundary <= last, CHUNKING.boundaries(mels.condition.tokens.shape[1])
    )
    return [
        mels.until(tokens[: boundary + CHUNKING.lookahead_tokens], boundary) for boundary in boundaries
    ] + [mels.until(tokens, None)]


@torch.inference_mode()
def one_pass(
    networks: Networks, prompt_tokens: int, tokens: list[int], chunk: int | None
) -> Tensor:  # [1, 80, M]
    """Prompt and tokens through encoder and solver once, the prompt's frames cut away."""
    flow, who = networks.flow, voice(prompt_tokens)
    every = torch.tensor([who.speech_tokens.tolist() + tokens])
    valid = torch.ones_like(every, dtype=torch.bool)
    mu = flow.encode(every, valid, attention_mask(valid, chunk))
    prompt = torch.zeros_like(mu)
    prompt[0, :, : len(who.mel)] = torch.tensor(who.mel).T
    speaker = flow.speaker(torch.tensor(who.speaker)[None])
    mask = attention_mask(torch.ones(1, mu.shape[2], dtype=torch.bool), chunk and 2 * chunk)
    noise = fixed_noise()[:, :, : mu.shape[2]]
    mel = solve(flow.velocity, begin(noise, mask, mu, speaker, prompt, solver=euler(10, 0.7)))
    return mel[:, :, len(who.mel) :]


@pytest.mark.parametrize("prompt_tokens", PROMPTS)
def test_the_stream_is_one_pass_with_the_chunk_mask(
    stages: Stages, networks: Networks, prompt_tokens: int
) -> None:
    """Joined, the parts of a stream are the frames that one masked pass over all tokens gives."""
    tokens = speech(90)
    parts = in_parts(stream_of(stages, prompt_tokens, chunked=True), tokens)

    assert len(parts) >= 3
    twin = one_pass(networks, prompt_tokens, tokens, chunk=25)
    torch.testing.assert_close(torch.cat(parts, dim=2), twin, atol=1e-4, rtol=0)


@pytest.mark.parametrize("prompt_tokens", [0, 40])
@pytest.mark.parametrize("cache_bytes", [0, 500_000])
def test_a_full_cache_changes_nothing(
    stages: Stages, networks: Networks, caplog: pytest.LogCaptureFixture, prompt_tokens: int, cache_bytes: int
) -> None:
    """Past its budget, at once or later, the stream recomputes, says so once and gives the same frames."""
    tokens = speech(90)
    mels = stream_of(stages, prompt_tokens, chunked=True, cache_bytes=cache_bytes)
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        parts = in_parts(mels, tokens)

    twin = one_pass(networks, prompt_tokens, tokens, chunk=25)
    torch.testing.assert_close(torch.cat(parts, dim=2), twin, atol=1e-4, rtol=0)
    assert [message.partition(" bytes=")[0] for message in caplog.messages] == [
        "stream cache full, computing some of the past again from here"
    ]


class Encoded:
    """Counts the tokens that the encoder is given."""

    def __init__(self, stages: Stages) -> None:
        self.tokens: list[int] = []
        self.stages = stages._replace(encode=self.encode)
        self.plain = stages.encode

    def encode(self, tokens: Tensor, *rest: Any) -> Tensor:
        self.tokens.append(tokens.shape[1])
        return self.plain(tokens, *rest)


def test_nothing_is_computed_twice(stages: Stages) -> None:
    """Each token is encoded once, and the prompt's whole chunks once for all streams of the voice."""
    counted = Encoded(stages)
    who = voice(40)
    conditions = Conditions(counted.stages, CPU)
    for _ in range(2):
        mels = MelStream(counted.stages, tiny.FLOW, conditions.of(who), chunked=True, rates=RATES)
        in_parts(mels, speech(90))

    assert counted.tokens == [25, 50, 25, 30, 50, 25, 30]


@pytest.mark.parametrize("prompt_tokens", PROMPTS)
def test_speech_in_one_go_begins_behind_the_prompt(
    stages: Stages, networks: Networks, prompt_tokens: int
) -> None:
    """With the chunk mask the prompt of a voice is computed once; what comes last is not kept."""
    tokens, encoded = speech(60), Encoded(stages)
    first = stream_of(encoded.stages, prompt_tokens, chunked=True)
    mel = first.until(tokens, None)
    condition, count = first.condition, len(encoded.tokens)
    second = MelStream(encoded.stages, tiny.FLOW, condition, chunked=True, rates=RATES)
    again = second.until(tokens, None)
    alone = max(0, prompt_tokens - CHUNKING.lookahead_tokens) // 25 * 25

    twin = one_pass(networks, prompt_tokens, tokens, chunk=25)
    torch.testing.assert_close(mel, twin, atol=1e-4, rtol=0)
    torch.testing.assert_close(again, mel, atol=0, rtol=0)
    assert encoded.tokens[count:] == [prompt_tokens - alone + 60]
    assert condition.past is not None and second.past is not None
    assert second.past.encoder.bytes == condition.past.encoder.bytes


def test_streams_of_one_voice_do_not_meet(stages: Stages, networks: Networks) -> None:
    """Two streams that go on from the same kept prompt in turn are what each is alone."""
    conditions = Conditions(stages, CPU)
    who = voice(40)
    one, other = (
        MelStream(stages, tiny.FLOW, conditions.of(who), chunked=True, rates=RATES) for _ in range(2)
    )
    tokens = speech(90), speech(90)[::-1]
    boundaries = [35, 60, None]
    parts = [(one.until(tokens[0], boundary), other.until(tokens[1], boundary)) for boundary in boundaries]

    for mels, own in zip(zip(*parts, strict=True), tokens, strict=True):
        twin = one_pass(networks, 40, own, chunk=25)
        torch.testing.assert_close(torch.cat(mels, dim=2), twin, atol=1e-4, rtol=0)


def test_pasts_of_voices_stay_within_the_budget(stages: Stages) -> None:
    """The prompts of voices used long ago are forgotten first."""
    voices = [replace(voice(40), text=text) for text in "abc"]
    conditions = Conditions(stages, CPU)
    sizes = []
    for who in voices:
        mels = MelStream(stages, tiny.FLOW, conditions.of(who), chunked=True, rates=RATES)
        mels.until(speech(60), 35)
        sizes.append(conditions.bytes)
    conditions.cache_bytes = sizes[1]
    conditions.of(voices[0])

    assert sizes == [sizes[0], 2 * sizes[0], 3 * sizes[0]]
    assert [conditions.of(who).past is None for who in voices] == [False, True, False]


def test_only_so_many_voices_are_kept(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """The voice that was used longest ago is forgotten; one of the same content is the same voice."""
    monkeypatch.setattr(mel_stream, "KEPT_VOICES", 2)
    conditions = Conditions(stages, CPU)
    first, second, third = (conditions.of(replace(voice(4), text=text)) for text in "abc")

    assert conditions.of(replace(voice(4), text="c", name="other")) is third
    assert conditions.of(replace(voice(4), text="b")) is second
    assert conditions.of(replace(voice(4), text="a")) is not first


def test_streams_share_the_budget(stages: Stages, networks: Networks) -> None:
    """Streams that run at once keep to the budget together, also while some stand still.

    Their frames stay the same, and the last one has the budget for itself.
    """
    conditions, who, sizes = Conditions(stages, CPU), voice(40), []
    for budget in (0, sys.maxsize):
        alone = stream_of(stages, 40, chunked=True, cache_bytes=budget)
        alone.until(speech(90), 60)
        assert alone.past is not None
        sizes.append(alone.past.bytes)
    conditions.cache_bytes = 3 * sum(sizes) // 2
    streams = [MelStream(stages, tiny.FLOW, conditions.of(who), chunked=True, rates=RATES) for _ in range(3)]
    first = [mels.until(speech(90), 60) for mels in streams]
    held = [mels.past.bytes for mels in streams if mels.past is not None]

    assert 3 * sizes[0] < sum(held) <= conditions.cache_bytes
    assert len(set(held)) == 1
    for mels, start in zip(streams, first, strict=True):
        twin = one_pass(networks, 40, speech(90), chunk=25)
        torch.testing.assert_close(
            torch.cat([start, mels.until(speech(90), None)], 2), twin, atol=1e-4, rtol=0
        )
    del mels, streams
    gc.collect()
    later = MelStream(stages, tiny.FLOW, conditions.of(who), chunked=True, rates=RATES)
    in_parts(later, speech(90))
    assert later.past is not None and later.past.kept == tiny.FLOW.steps


def test_a_busy_stream_keeps_its_past_until_it_is_done(stages: Stages) -> None:
    """Whatever other streams do while it computes, a step does not forget between two chunks."""
    conditions, others = Conditions(stages, CPU), []

    def velocity(*given: Any) -> Tensor:
        if len(others) == 1:
            others.append(MelStream(stages, tiny.FLOW, conditions.of(voice(1)), chunked=True, rates=RATES))
            others[-1].until(speech(60), 25)
            assert others[0].past is not None and others[0].past.kept == tiny.FLOW.steps
        return stages.velocity(*given)

    watched = stages._replace(velocity=velocity)
    mels = MelStream(watched, tiny.FLOW, conditions.of(voice(0)), chunked=True, rates=RATES)
    mels.until(speech(60), 25)
    conditions.cache_bytes = mels.condition.cache_bytes = 0
    others.append(mels)
    mels.until(speech(60), 50)

    assert len(others) == 2 and mels.past is not None
    assert mels.past.kept == 0


def test_a_voice_may_lose_its_past_at_any_time(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another voice's stream may need the room at the moment a prompt was computed."""
    monkeypatch.setattr(Condition, "past", property(lambda _: None, lambda *_: None))
    mels = stream_of(stages, 40, chunked=True)

    assert mels.until(speech(60), 35).shape == (1, 80, 70)


@pytest.mark.parametrize("prompt_tokens", PROMPTS[:3])
def test_without_the_mask_every_frame_sees_everything(
    stages: Stages, networks: Networks, prompt_tokens: int
) -> None:
    """Unmasked it is one pass without a mask, and another mel than the masked one."""
    tokens = speech(60)
    mel = stream_of(stages, prompt_tokens, chunked=False).until(tokens, None)

    torch.testing.assert_close(mel, one_pass(networks, prompt_tokens, tokens, None), atol=1e-4, rtol=0)
    assert (mel - one_pass(networks, prompt_tokens, tokens, 25)).abs().max() > 1e-2


def test_each_part_has_the_frames_of_its_tokens(stages: Stages) -> None:
    """Two frames a token, from the last boundary to this one."""
    parts = in_parts(stream_of(stages, 12, chunked=True), speech(70))

    assert [part.shape for part in parts] == [(1, 80, 26), (1, 80, 50), (1, 80, 64)]


def test_tokens_after_an_edge_change_nothing_before_it(stages: Stages) -> None:
    """Tokens beyond the look-ahead change no frame left of the boundary; within it they do."""
    tokens = speech(60)
    mel = stream_of(stages, 0, chunked=True).until(tokens, None)[:, :, :50]
    after, within = (
        stream_of(stages, 0, chunked=True).until([*tokens[:at], *tokens[:10]], None)[:, :, :50]
        for at in (25 + CHUNKING.lookahead_tokens, 25)
    )

    torch.testing.assert_close(after, mel, atol=1e-5, rtol=0)
    assert (within - mel).abs().max() > 1e-3


def test_speech_beyond_the_noise_is_refused(stages: Stages) -> None:
    """A piece longer than the fixed noise is a SpeechError that says how long it was."""
    tokens = [0] * (NOISE_FRAMES // 2 + 25)

    with pytest.raises(SpeechError, match=r"became 301 s of speech with its prompt, 300 s is the most"):
        stream_of(stages, 0, chunked=True).until(tokens, None)
    slow = MelStream(
        stages,
        tiny.FLOW,
        Condition.of(voice(0), stages, CPU),
        chunked=True,
        rates=Rates(sample_hz=12_000, token_hz=10),
    )
    with pytest.raises(SpeechError, match=r"became 752 s of speech with its prompt, 750 s is the most"):
        slow.until(tokens, None)


def speaking(family: Any, stages: Stages) -> list[tuple[MelStream, list[int], int | None]]:
    """Streams, their tokens and the next boundary: after a prompt, first chunk, past its budget, whole."""
    made: list[tuple[MelStream, list[int], int | None]] = []
    for prompt, cache_bytes, chunked, boundaries in (
        (40, sys.maxsize, True, (35, 60)),
        (0, sys.maxsize, True, (25,)),
        (24, 0, True, (26, 51)),
        (12, sys.maxsize, False, (None,)),
    ):
        condition = Condition.of(voice(prompt), stages, CPU)
        condition.cache_bytes = cache_bytes
        mels = MelStream(stages, family.FLOW, condition, chunked=chunked, rates=RATES)
        for boundary in boundaries[:-1]:
            mels.until(speech(90), boundary)
        made.append((mels, speech(90), boundaries[-1]))
    return made


@pytest.mark.parametrize("family", [tiny, tiny3], ids=["cosyvoice2", "cosyvoice3"])
def test_streams_that_take_steps_together_are_what_each_is_alone(family: Any) -> None:
    """One joins at each turn and leaves when it is done; whatever each keeps, the mel is that of it alone."""
    flow = family.flow()
    stages = eager(Networks(llm=tiny.language_model(), flow=flow, vocoder=tiny.vocoder()))
    streams = speaking(family, stages)
    waiting = [mels.solving(tokens, boundary) for mels, tokens, boundary in streams]
    done = solved_together(stages.velocity, waiting)

    alone = [mels.until(tokens, boundary) for mels, tokens, boundary in speaking(family, stages)]
    for together, by_itself in zip(done, alone, strict=True):
        torch.testing.assert_close(together, by_itself, atol=1e-5, rtol=0)
    assert [mels.past is not None and mels.past.kept for mels, *_ in streams] == [10, 10, 0, False]


def solved_together(velocity: Velocity, waiting: list[Solving]) -> list[Tensor]:  # [1, 80, M] each
    """Solve in turns: one begins at each, all that have begun take a step in one call."""
    begun: dict[int, SolverState] = {}
    done: dict[int, Tensor] = {}
    while len(done) < len(waiting):
        if (number := len(begun) + len(done)) < len(waiting):
            begun[number] = next(waiting[number])
        step(velocity, list(begun.values()))
        for number, state in list(begun.items()):
            if state.done:
                del begun[number]
                done[number] = solved(velocity, waiting[number])
    return [done[number] for number in range(len(waiting))]


def test_a_stream_that_is_solving_keeps_its_past(stages: Stages) -> None:
    """Between two of its steps other streams may need room: it gives up its share when its chunk is done."""
    mels = stream_of(stages, 0, chunked=True)
    mels.until(speech(60), 25)
    chunk = mels.solving(speech(60), 50)
    state = next(chunk)
    step(stages.velocity, [state])
    mels.condition.cache_bytes = 0
    mels.shrink(0)
    assert mels.past is not None and mels.past.kept == tiny.FLOW.steps

    solve(stages.velocity, state)
    solved(stages.velocity, chunk)
    assert mels.past.kept == 0


@pytest.mark.parametrize("family", [tiny, tiny3], ids=["cosyvoice2", "cosyvoice3"])
@pytest.mark.parametrize("cache_bytes", [0, sys.maxsize])
def test_a_step_that_failed_may_be_taken_again(family: Any, cache_bytes: int) -> None:
    """A call for several streams that raises in its middle leaves each as it was; alone they go on."""
    flow = family.flow()
    stages = eager(Networks(llm=tiny.language_model(), flow=flow, vocoder=tiny.vocoder()))
    wanted = [mels.until(speech(90), None) for mels in started(stages, family, cache_bytes)]
    chunks = [mels.solving(speech(90), None) for mels in started(stages, family, cache_bytes)]
    states = [next(chunk) for chunk in chunks]
    step(stages.velocity, states)

    def broken(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        stages.velocity(inputs, cache)
        raise ZeroDivisionError("a broken stage")

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            step(broken, states)
    for chunk, state, mel in zip(chunks, states, wanted, strict=True):
        solve(stages.velocity, state)
        torch.testing.assert_close(solved(stages.velocity, chunk), mel, atol=1e-5, rtol=0)


def started(stages: Stages, family: Any, cache_bytes: int) -> list[MelStream]:
    """Two streams of two voices, each behind its first chunk."""
    streams = []
    for prompt, boundary in ((40, 35), (0, 25)):
        condition = Condition.of(voice(prompt), stages, CPU)
        condition.cache_bytes = cache_bytes
        mels = MelStream(stages, family.FLOW, condition, chunked=True, rates=RATES)
        mels.until(speech(90), boundary)
        streams.append(mels)
    return streams


def test_a_voice_can_be_forgotten(stages: Stages) -> None:
    """After a voice was deleted nothing of it is kept; the next time it is prepared anew."""
    conditions, who = Conditions(stages, CPU), voice(20)
    known = conditions.of(who)
    conditions.forget(who.digest)
    conditions.forget("of no voice")
    assert conditions.of(who) is not known


def amid_others(stages: Stages, family: Any, schedule: int, others: int) -> Tensor:  # [1, 80, M]
    """The mel of one stream that takes its steps with two others; the schedule says their lengths."""
    random, waiting = np.random.default_rng(schedule), []
    for number in range(3):
        prompt, first, more = (int(n) for n in random.integers((0, 1, 1), (30, 3, 40)))
        seed = 7 if number == schedule % 3 else others + number
        tokens = np.random.default_rng(seed).integers(0, tiny.SPEECH_VOCABULARY, 120).tolist()
        condition = Condition.of(voice(prompt), stages, CPU)
        mels = MelStream(stages, family.FLOW, condition, chunked=True, rates=RATES)
        boundary = next(CHUNKING.boundaries(prompt)) + 25 * (first - 1)
        mels.until(tokens[: boundary + CHUNKING.lookahead_tokens], boundary)
        waiting.append(mels.solving(tokens[: boundary + more], None))
    return solved_together(stages.velocity, waiting)[schedule % 3]


@pytest.mark.parametrize("family", [tiny, tiny3], ids=["cosyvoice2", "cosyvoice3"])
def test_other_streams_of_a_call_change_nothing(family: Any) -> None:
    """In calls of the same shapes, on one thread, a mel is the same to the last bit."""
    flow = family.flow()
    stages = eager(Networks(llm=tiny.language_model(), flow=flow, vocoder=tiny.vocoder()))
    for schedule in range(3):
        one, other = (amid_others(stages, family, schedule, others) for others in (100, 200))
        assert torch.equal(one, other), schedule
