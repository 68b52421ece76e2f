"""The loop around the language model, with a model that says what the test wants."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.checkpoint.hyperyaml import Tagged
from cosyrt.engine.decoding import Saying, SpeakingConfig, allowed, speech_tokens
from cosyrt.engine.sampling import SamplingConfig
from cosyrt.engine.stages import Stages

END = 10  # speech tokens 0 … 9, stops 10, 11 and 12
CONFIG = SpeakingConfig(end_token=END, sampling=SamplingConfig(tolerance=2.0))  # never steps aside


class Script:
    """A language model that wants the given tokens, one after another, then the last one for ever."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self.wanted = list(wanted)
        self.asked: list[dict[str, Any]] = []

    def logp(self) -> Tensor:  # [1, V]
        """The wanted token is nearly certain; after it come its neighbours."""
        wanted = self.wanted[min(len(self.asked), len(self.wanted)) - 1]
        return (-8.0 * (torch.arange(END + 3) - wanted).abs()).log_softmax(0)[None]

    def new_cache(self, batch: int, capacity: int) -> Any:
        self.capacity = capacity

    def prefill(self, text: Tensor, speech: Tensor, cache: Any) -> Tensor:
        self.asked.append({"text": text.tolist(), "speech": speech.tolist()})
        return self.logp()

    def step(self, token: Tensor, position: Tensor, mask: Tensor, cache: Any) -> Tensor:
        self.asked.append({"token": int(token), "position": int(position), "mask": mask.shape[-1]})
        return self.logp()

    def say(self, config: SpeakingConfig, saying: Saying) -> list[int]:
        unused = dict.fromkeys(Stages._fields)
        own = {"new_cache": self.new_cache, "prefill": self.prefill, "step": self.step}
        stages = Stages(**(unused | own))  # type: ignore[arg-type]
        draws = torch.Generator().manual_seed(0)
        return list(speech_tokens(stages, config, saying, draws, torch.device("cpu")))


def words(count: int) -> Saying:
    return Saying(list(range(count)), [], [])


@pytest.mark.parametrize("stop", [END, END + 1, END + 2])
def test_every_stop_token_ends_the_utterance(stop: int) -> None:
    """The tokens before any of the three stops are spoken, the stop and what follows are not."""
    assert Script([3, 5, 7, 9, stop, 1]).say(CONFIG, words(2)) == [3, 5, 7, 9]


@pytest.mark.parametrize("stop", [END, END + 1, END + 2])
def test_no_stop_before_the_least(stop: int) -> None:
    """Below two speech tokens a text token no stop is drawn, however much it is wanted."""
    assert Script([3, stop]).say(CONFIG, words(3)) == [3] + [END - 1] * 5


def test_at_least_one_token_is_spoken() -> None:
    """A single text token at less than one speech token each still becomes one."""
    assert Script([END]).say(replace(CONFIG, least_per_text=0.8), words(1)) == [END - 1]


def test_the_most_cuts_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Speech without an end is cut at its limit, with one warning and without the text."""
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        assert Script([4]).say(replace(CONFIG, most_per_text=7), words(3)) == [4] * 21

    assert caplog.messages == ["speech cut at its limit tokens=21 text_tokens=3"]


def test_limits_count_the_text_alone() -> None:
    """The transcript of the prompt adds nothing to the least or the most."""
    saying = Saying([1, 2], [3] * 50, [4] * 100)

    assert len(Script([END]).say(CONFIG, saying)) == 4
    assert len(Script([5]).say(CONFIG, saying)) == 40


def test_what_the_model_is_asked() -> None:
    """It reads transcript, text and prompt once, then its own tokens one by one, each at its place."""
    script = Script([6, 7, 8, END])
    script.say(replace(CONFIG, least_per_text=0.5), Saying([1, 2], [3, 4, 5], [8, 9]))

    assert script.asked == [
        {"text": [[3, 4, 5, 1, 2]], "speech": [[8, 9]]},
        {"token": 6, "position": 9, "mask": 10},
        {"token": 7, "position": 10, "mask": 11},
        {"token": 8, "position": 11, "mask": 12},
    ]
    assert script.capacity == 9 + 40


def test_nothing_runs_before_a_token_is_wanted() -> None:
    """The model works only as far as the reader reads."""
    script = Script([1, 2, 3])
    stages = Stages(script.new_cache, script.prefill, script.step, *[None] * 7)  # type: ignore[arg-type]
    tokens = speech_tokens(stages, CONFIG, words(2), torch.Generator(), torch.device("cpu"))

    assert len(script.asked) == 0
    assert [next(tokens), next(tokens)] == [1, 2]
    assert len(script.asked) == 2


def test_repetitions_are_drawn_again() -> None:
    """With upstream's tolerance a token that has just been said steps aside."""
    spoken = Script([4]).say(replace(CONFIG, sampling=SamplingConfig(), most_per_text=10), words(1))

    assert spoken[0] == 4
    assert spoken[1] != 4


def test_only_stops_are_forbidden() -> None:
    """Speech tokens keep their log-probabilities; when the utterance may end nothing is changed."""
    logp = torch.arange(13.0)[None]

    assert allowed(logp, END, True)[0].tolist() == [*map(float, range(10)), *[float("-inf")] * 3]
    assert allowed(logp, END, False) is logp


def test_settings_come_from_the_description() -> None:
    """The end follows the vocabulary; the two ratios may be missing and are then upstream's."""
    sampling = Tagged("ras_sampling", {"top_p": 0.8, "top_k": 25, "win_size": 10, "tau_r": 0.1}, "name")
    args = {"speech_token_size": END, "sampling": sampling}
    given = SpeakingConfig.from_description(args | {"min_token_text_ratio": 1, "max_token_text_ratio": 5})

    assert SpeakingConfig.from_description(args) == SpeakingConfig(end_token=END, fill_token=END + 2)
    assert (given.least_per_text, given.most_per_text) == (1, 5)
