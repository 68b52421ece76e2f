"""The flow of upstream's example.py for each family: only the import and the folder are other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch import Tensor

# from cosyvoice.cli.cosyvoice import AutoModel
from cosyrt.compat import AutoModel

TEXT = "你好，朋友。"
PROMPT = "希望你好。"
SYSTEM = "You are a helpful assistant."
Save = Callable[[str, Iterator[dict[str, Tensor]]], None]


@pytest.fixture
def save() -> Iterator[Save]:
    """In place of torchaudio.save: every call must give sound, and each kind of call is made once."""
    saved: dict[str, int] = {}

    def save(name: str, results: Iterator[dict[str, Tensor]]) -> None:
        for result in results:
            assert result["tts_speech"].isfinite().all()
            saved[name] = saved.get(name, 0) + result["tts_speech"].shape[1]
        assert saved[name] > 0

    yield save
    assert len(saved) >= 4


def text_generator() -> Iterator[str]:
    yield "收到好友"
    yield "寄来的，"
    yield "生日礼物。"


def test_cosyvoice2_example(spelling_folder: Path, tmp_path: Path, clip: str, save: Save) -> None:
    """Zero-shot, a kept speaker, fine-grained control, instruction, text from a generator."""
    folder = shutil.copytree(spelling_folder, tmp_path / "CosyVoice2-0.5B")
    cosyvoice = AutoModel(model_dir=str(folder))
    save("zero_shot", cosyvoice.inference_zero_shot(TEXT, PROMPT, clip))
    assert cosyvoice.add_zero_shot_spk(PROMPT, clip, "my_zero_shot_spk") is True
    save("kept", cosyvoice.inference_zero_shot(TEXT, "", "", zero_shot_spk_id="my_zero_shot_spk"))
    cosyvoice.save_spkinfo()
    save("fine_grained_control", cosyvoice.inference_cross_lingual("他突然[laughter]停下来。", clip))
    save("instruct", cosyvoice.inference_instruct2(TEXT, "用四川话说这句话<|endofprompt|>", clip))
    save("bistream", cosyvoice.inference_zero_shot(text_generator(), PROMPT, clip, stream=False))
    save("vc", cosyvoice.inference_vc(clip, clip))

    again = AutoModel(model_dir=str(folder))
    assert "my_zero_shot_spk" in again.list_available_spks()


def test_cosyvoice3_example(tiny3_folder: Path, clip: str, save: Save) -> None:
    """Zero-shot and cross-lingual behind the system's sentence, instructions, pinyin, katakana, a stream."""
    cosyvoice = AutoModel(model_dir=str(tiny3_folder))
    opening = f"{SYSTEM}<|endofprompt|>"
    save("zero_shot", cosyvoice.inference_zero_shot(TEXT, opening + PROMPT, clip, stream=False))
    save("fine", cosyvoice.inference_cross_lingual(f"{opening}[breath]因为他们[breath]", clip, stream=False))
    save("instruct", cosyvoice.inference_instruct2(TEXT, f"{SYSTEM} 请用广东话表达。<|endofprompt|>", clip))
    save("hotfix", cosyvoice.inference_zero_shot("报道[j][ǐ]予好评。", opening + PROMPT, clip))
    save("japanese", cosyvoice.inference_cross_lingual(f"{opening}レキシ テキ セカイ。", clip))
    save("bistream", cosyvoice.inference_instruct2(text_generator(), SYSTEM, clip, stream=True))


def test_cosyvoice1_example(tiny1_folder: Path, clip: str, save: Save) -> None:
    """A voice of the folder, zero-shot, another language behind its tag, conversion, an instruction."""
    cosyvoice = AutoModel(model_dir=str(tiny1_folder))
    speaker = cosyvoice.list_available_spks()[0]
    save("sft", cosyvoice.inference_sft(TEXT, speaker, stream=False))
    save("sft streamed", cosyvoice.inference_sft(TEXT, speaker, stream=True))
    save("zero_shot", cosyvoice.inference_zero_shot(TEXT, PROMPT, clip))
    save("cross_lingual", cosyvoice.inference_cross_lingual("<|en|>And then later on.", clip))
    save("vc", cosyvoice.inference_vc(clip, clip))
    told = "Theo is a fiery leader.<|endofprompt|>"
    save("instruct", cosyvoice.inference_instruct("他展现了<strong>勇气</strong>。", speaker, told))
    save("generator", cosyvoice.inference_sft(text_generator(), speaker))
