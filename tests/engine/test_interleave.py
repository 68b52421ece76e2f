"""Text read while it is spoken: which tokens the language model is given, in which order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.engine.decoding import SpeakingConfig
from cosyrt.engine.interleave import Interleaved, Reader
from cosyrt.engine.prompts import Prompt
from cosyrt.engine.sampling import SamplingConfig
from cosyrt.engine.stages import Networks, Stages
from cosyrt.errors import SpeechError
from cosyrt.models.llm import MARK, SPEECH, START, TASK, TEXT, Cache

END, FILL = 10, 12  # speech tokens 0 … 9, stops 10, 11 and 12
CONFIG = SpeakingConfig(end_token=END, fill_token=FILL, sampling=SamplingConfig(tolerance=2.0))
CPU = torch.device("cpu")


class Script:
    """A language model that says what it is told to, then the last of it for ever; notes what it reads."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self.wanted, self.calls = list(wanted), 0
        self.sequence: list[tuple[int, int]] = []

    def read(self, numbers: Tensor, kinds: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        """Every position stands where it belongs and sees all before it, itself included."""
        start, end = len(self.sequence), len(self.sequence) + numbers.shape[1]
        assert positions.tolist() == [list(range(start, end))]
        assert mask.shape == (1, 1, end - start, end)
        assert mask.sum(-1).flatten().tolist() == list(range(start + 1, end + 1))
        self.sequence += zip(kinds[0].tolist(), numbers[0].tolist(), strict=True)
        self.calls += 1
        wanted = self.wanted[min(self.calls, len(self.wanted)) - 1]
        if wanted < 0:
            return torch.full((1, END + 3), torch.nan)
        return (-8.0 * (torch.arange(END + 3) - wanted).abs()).log_softmax(0)[None]

    def speaking(self, prompt: Prompt, config: SpeakingConfig = CONFIG) -> Interleaved:
        none = torch.zeros(1, 1, 1, 10_000, 0)
        stages = Stages(**(dict.fromkeys(Stages._fields) | {"new_cache": lambda *_: Cache(none, none)}))  # type: ignore[arg-type]
        return Interleaved(
            stages._replace(read=self.read), config, prompt, torch.Generator().manual_seed(0), CPU
        )

    def say(
        self, words: Sequence[int], prompt: Prompt | None = None, config: SpeakingConfig = CONFIG
    ) -> list[int]:
        return list(self.speaking(prompt or Prompt(text=[], speech=[]), config).speak(iter(words)))


def layout(script: Script) -> str:
    """The sequence in letters: m mark, t text, s speech."""
    return "".join("tsm"[kind] for kind, _ in script.sequence)


def test_five_and_fifteen() -> None:
    """Start, then blocks of five and fifteen; the rest of the text, the task, and speech to the end."""
    script = Script([7] * 40 + [END])
    spoken = script.say(range(100, 112))

    assert spoken == [7] * 40
    assert layout(script) == "m" + ("ttttt" + "s" * 15) * 2 + "ttm" + "s" * 10
    assert [number for kind, number in script.sequence if kind == TEXT] == list(range(100, 112))
    assert [number for kind, number in script.sequence if kind == MARK] == [START, TASK]


def test_the_model_may_ask_for_text_early() -> None:
    """A fill token ends the block; it is not spoken and not read again."""
    script = Script([7, 7, FILL, 7, 7, 7, END])
    spoken = script.say(range(100, 106), config=replace(CONFIG, least_per_text=0.1, block_speech=4))

    assert spoken == [7, 7, 7, 7, 7]
    assert layout(script) == "mtttttss" + "tmsss"
    assert FILL not in [number for kind, number in script.sequence if kind == SPEECH]


def test_no_end_while_there_is_text() -> None:
    """An end that comes before the text's end is not drawn; its neighbour is."""
    spoken = Script([END]).say(range(100, 105), config=replace(CONFIG, fill_token=END + 1, block_speech=2))

    assert len(spoken) == 2 + 8  # one block, then the least that five text tokens ask for


def test_the_prompt_comes_in_the_same_blocks() -> None:
    """Transcript and text are one text, the prompt's speech fills its blocks before anything is spoken."""
    script = Script([7] * 30)
    prompt = Prompt(text=[1, 2, 3], speech=list(range(20, 40)))
    speaking = script.speaking(prompt)
    first = next(speaking.speak(iter(range(100, 120))))

    assert first == 7
    assert script.sequence == [
        (MARK, START),
        *((TEXT, number) for number in (1, 2, 3, 100, 101)),
        *((SPEECH, number) for number in range(20, 35)),
        *((TEXT, number) for number in range(102, 107)),
        *((SPEECH, number) for number in range(35, 40)),
    ]


def test_a_full_last_block_of_the_prompt_is_followed_by_text() -> None:
    """Where the prompt's speech ends with its block, five more text tokens come before speech."""
    script = Script([7] * 20)
    next(script.speaking(Prompt(text=[1, 2], speech=[5] * 15)).speak(iter(range(100, 120))))

    assert layout(script) == "mttttt" + "s" * 15 + "ttttt"


def test_a_text_too_short_for_its_prompt_keeps_all_of_it() -> None:
    """Prompt speech that found no text stands behind the task, as in training."""
    script = Script([7, 7, END])
    script.say([100], Prompt(text=[1, 2, 3], speech=[5] * 40), replace(CONFIG, least_per_text=0.1))

    assert layout(script) == "mttttm" + "s" * 40 + "ss"


def test_text_is_asked_for_when_it_is_needed() -> None:
    """The first speech token needs five text tokens and no more; closing leaves the rest unread."""
    asked: list[int] = []

    def words() -> Iterator[int]:
        for number in range(100, 200):
            asked.append(number)
            yield number

    script = Script([7] * 100)
    speech = script.speaking(Prompt(text=[], speech=[])).speak(words())

    assert asked == []
    assert next(speech) == 7
    assert asked == [100, 101, 102, 103, 104]


def test_the_end_is_cut_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Speech without an end is cut at twenty tokens a text token, with one warning."""
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        assert len(Script([7, 3]).say([100, 101])) == 40
    assert caplog.messages == ["speech cut tokens=40 text_tokens=2"]


def test_what_is_not_a_number_is_told() -> None:
    """NaN of the language model is a SpeechError, in a block and after the text."""
    for count in (3, 8):
        with pytest.raises(SpeechError, match="not finite"):
            Script([7, -1]).say(range(count))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_reading_in_parts_is_reading_at_once(stages: Stages, networks: Networks, parts: list[int]) -> None:
    """The cache holds what was read: text and speech in any portions give the numbers of one pass."""
    total = sum(parts)
    numbers, kinds = [index % 7 for index in range(total)], [index % 2 for index in range(total)]
    whole, portions = Reader(stages, CPU), Reader(stages, CPU)
    whole.give([START], MARK)
    portions.give([START], MARK)
    for number, kind in zip(numbers, kinds, strict=True):
        whole.give([number], kind)
    for index, part in enumerate(parts):
        start = sum(parts[:index])
        for at in range(start, start + part):
            portions.give([numbers[at]], kinds[at])
        logp = portions.read()

    assert torch.allclose(whole.read(), logp, atol=1e-4)


def test_the_cache_grows(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two positions at first the numbers are those of a large cache."""
    wide = Reader(stages, CPU)
    monkeypatch.setattr("cosyrt.engine.interleave.ROOM", 2)
    narrow = Reader(stages, CPU)
    for reader in (wide, narrow):
        reader.give([START], MARK)
    for number in range(9):
        for reader in (wide, narrow):
            reader.give([number], TEXT)
        one, other = wide.read(), narrow.read()
        assert torch.allclose(one, other, atol=1e-5)
    assert narrow.cache.capacity < wide.cache.capacity


def test_a_mixed_sequence_in_the_usual_order_is_the_usual_prompt(networks: Networks) -> None:
    """Start, text, task, speech by their kinds have the embeddings of `prompt`."""
    numbers = torch.tensor([[START, 4, 5, 6, TASK, 2, 3]])
    kinds = torch.tensor([[MARK, TEXT, TEXT, TEXT, MARK, SPEECH, SPEECH]])
    usual = networks.llm.prompt(numbers[:, 1:4], numbers[:, 5:])

    assert torch.equal(networks.llm.mixed(numbers, kinds), usual)
