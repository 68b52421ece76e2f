"""Each folder is built as its family asks."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine import cosyvoice2
from cosyrt.engine.model import Model, build
from cosyrt.errors import ConfigError, WeightsError
from cosyrt.models.causal_vocoder import CausalVocoder
from cosyrt.models.vocoder import Vocoder
from recipes.builtin_voice.export import backbone_settings
from tests import tiny

GOLDEN = Path(__file__).parent.parent / "golden"
HUGE = ("1000000000", "0", "-1", "x")
NO_NUMBER = ("x", ".nan", ".inf", "-1")
SHARED = {
    **dict.fromkeys(("top_k", "win_size", "n_timesteps"), HUGE),
    "top_p": ("0", "2", *NO_NUMBER),
    **dict.fromkeys(("tau_r", "min_token_text_ratio", "max_token_text_ratio"), ("1e9", *NO_NUMBER)),
    **dict.fromkeys(("inference_cfg_rate", "temperature", "nsf_alpha", "nsf_sigma"), NO_NUMBER),
    **dict.fromkeys(("nsf_voiced_threshold", "lrelu_slope", "audio_limit"), NO_NUMBER),
    **dict.fromkeys(("channels", "upsample_rates", "resblock_dilation_sizes"), ("[1000000000]", "x", "[]")),
}
LAYERS = dict.fromkeys(("num_blocks", "n_blocks", "num_mid_blocks"), HUGE)
OWN = {
    "cosyvoice": LAYERS,
    "cosyvoice2": LAYERS | {"static_chunk_size": HUGE, "token_mel_ratio": HUGE, "num_up_blocks": HUGE},
    "cosyvoice3": {"static_chunk_size": ("1", *HUGE), "depth": HUGE, "conv_pre_look_right": HUGE[:1]},
}
# Settings that a description need not have, and another that they may stand beside.
OPTIONAL = {
    "n_timesteps": "sigma_min",
    "temperature": "sigma_min",
    "num_up_blocks": "macaron_style",
    "min_token_text_ratio": "lsm_weight",
    "max_token_text_ratio": "lsm_weight",
}


def test_the_family_decides(tiny_folder: Path, tiny3_folder: Path) -> None:
    """The class of the language model in the description leads to the networks of that family."""
    (_, two), (_, three) = (build(ModelFolder.open(folder)) for folder in (tiny_folder, tiny3_folder))

    assert (type(two.vocoder), type(three.vocoder)) == (Vocoder, CausalVocoder)


def test_a_description_of_before_2025(tmp_path: Path) -> None:
    """The first folders of CosyVoice 2 have other names and no chunks: upstream's defaults are meant."""
    today = (GOLDEN / "cosyvoice2-small.yaml").read_text()
    (tmp_path / "today").mkdir()
    (tmp_path / "today" / "cosyvoice2.yaml").write_text(today)
    left_out = "(static_chunk_size|num_decoding_left_chunks|token_mel_ratio|pre_lookahead_len|mix_ratio):"
    older = re.sub(rf"^ +{left_out} .*\n", "", today, flags=re.MULTILINE)
    older = older.replace("decoder.CausalConditionalDecoder", "decoder.ConditionalDecoder")
    older = older.replace(
        "            in_channels: 320", "            causal: True\n            in_channels: 320"
    )
    (tmp_path / "cosyvoice.yaml").write_text(older)
    for folder in (tmp_path, tmp_path / "today"):
        write_backbone(folder)
    older_settings, settings = (
        cosyvoice2.read_settings(folder.description, folder.language_model())
        for folder in map(ModelFolder.open, (tmp_path, tmp_path / "today"))
    )

    assert "chunk" not in re.sub("chunk_size: .*|num_decoding_left_chunks: .*", "", older)
    assert older_settings == settings


@pytest.mark.parametrize(
    ("family", "key", "value"),
    [
        (family, key, value)
        for family, own in OWN.items()
        for key, values in (SHARED | own).items()
        for value in values
    ],
)
def test_a_setting_of_a_wrong_kind_or_size(family: str, key: str, value: str, tmp_path: Path) -> None:
    """A wrong setting is refused with its name and value before a network is built."""
    text = (GOLDEN / f"{family}-small.yaml").read_text()
    beside = OPTIONAL.get(key, key)
    kept = r"\g<0>\n" if key in OPTIONAL else ""
    changed = re.sub(rf"^( *){beside}: .*$", rf"{kept}\g<1>{key}: {value}", text, flags=re.MULTILINE)
    (tmp_path / f"{family}.yaml").write_text(changed)
    write_backbone(tmp_path)

    with pytest.raises(ConfigError, match=rf"the setting '[a-z_/ ]*{key}.*' of the model is") as refused:
        build(ModelFolder.open(tmp_path))

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", 10**9), ("hidden_size", "x"), ("vocab_size", -1), ("rms_norm_eps", "nan")],
)
def test_a_setting_of_the_language_model(key: str, value: object, tmp_path: Path) -> None:
    """Settings of `config.json` are checked in the same way."""
    (tmp_path / "cosyvoice2.yaml").write_bytes((GOLDEN / "cosyvoice2-small.yaml").read_bytes())
    write_backbone(tmp_path, **{key: value})

    with pytest.raises(ConfigError, match=f"the setting '{key}' of the model is"):
        build(ModelFolder.open(tmp_path))


def write_backbone(path: Path, **changes: object) -> None:
    settings = backbone_settings(tiny.LLM) | changes
    (path / "CosyVoice-BlankEN").mkdir()
    (path / "CosyVoice-BlankEN" / "config.json").write_text(json.dumps(settings))


def test_weights_are_named_as_in_their_file(tmp_path: Path) -> None:
    """A tensor that is missing has the key and the file of the folder, not our own names."""
    tiny.write_model(tmp_path / "model")
    path = tmp_path / "model" / "llm.safetensors"
    kept = load_file(path)
    save_file({key: value for key, value in kept.items() if "layers.1.mlp" not in key}, path)

    with pytest.raises(WeightsError, match=r"llm\.safetensors lacks 'llm\.model\.model\.layers\.1\.mlp\."):
        build(ModelFolder.open(tmp_path / "model"))


@pytest.mark.parametrize(("variant", "file"), [("", "llm.safetensors"), ("rl", "llm.rl.safetensors")])
def test_the_weights_that_speak_are_told(
    variant: str, file: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Loading says which file of the language model was taken, for -v to print."""
    tiny.write_model(tmp_path / "model")
    shutil.copy(tmp_path / "model" / "llm.safetensors", tmp_path / "model" / "llm.rl.safetensors")
    with caplog.at_level(logging.INFO, "cosyrt"):
        Model.open(ModelFolder.open(tmp_path / "model", variant=variant), "cpu")

    assert f"language model: {file}" in caplog.messages
