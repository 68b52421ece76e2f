"""Packs the trained parts as a model folder in the official CosyVoice 2 layout, in half precision."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from cosyrt.checkpoint.tables import write_tables
from cosyrt.checkpoint.tensors import write_tensors
from cosyrt.models.flow import FlowConfig
from cosyrt.models.llm import LanguageModelConfig
from cosyrt.models.vocoder import VocoderConfig
from cosyrt.text.pronounce import vocabulary
from recipes.builtin_voice import flow, language_model, speaker, tokenizer, vocoder
from recipes.builtin_voice.loop import load_weights

PRESETS = {"rms": ("tom", "en"), "cmn": ("lin", "zh")}  # teacher → name and language of the voice we ship
# Sounds last several tokens here, pauses a dozen: only a longer run is a repetition to step out of.
SAMPLING = {"top_p": 0.5, "top_k": 25, "win_size": 16, "tau_r": 0.9}
LARGE = 1000  # weights; smaller tensors stay float32
LEAST_PER_UNIT, MOST_PER_UNIT = 0.8, 8
BACKBONE = "llm.model.model."
DESCRIPTION = """\
# The built-in voice of cosyrt: CosyVoice 2 at a small size, in the dialect of upstream's model descriptions.
# Settings of cosyrt's own: `pronunciation`, `num_up_blocks`, `temperature`, `n_timesteps` and the two ratios.
sample_rate: 24000
llm_input_size: {llm.width}
llm_output_size: {llm.width}
spk_embed_dim: 192
token_frame_rate: 25
token_mel_ratio: 2
chunk_size: 25
num_decoding_left_chunks: -1
pronunciation: arpabet-pinyin
llm: !new:cosyvoice.llm.llm.Qwen2LM
    llm_input_size: !ref <llm_input_size>
    llm_output_size: !ref <llm_output_size>
    speech_token_size: {llm.speech_vocabulary}
    mix_ratio: [5, 15]
    min_token_text_ratio: {least}
    max_token_text_ratio: {most}
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: {sampling[top_p]}
        top_k: {sampling[top_k]}
        win_size: {sampling[win_size]}
        tau_r: {sampling[tau_r]}
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
    input_size: {flow.encoder.width}
    output_size: {flow.mel_bins}
    spk_embed_dim: !ref <spk_embed_dim>
    output_type: mel
    vocab_size: {flow.speech_vocabulary}
    input_frame_rate: !ref <token_frame_rate>
    token_mel_ratio: !ref <token_mel_ratio>
    pre_lookahead_len: {flow.encoder.lookahead_tokens}
    encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
        output_size: {flow.encoder.width}
        attention_heads: {flow.encoder.heads}
        linear_units: {flow.encoder.feed_forward}
        num_blocks: {flow.encoder.layers}
        num_up_blocks: {flow.encoder.up_layers}
        input_layer: linear
        pos_enc_layer_type: rel_pos_espnet
        selfattention_layer_type: rel_selfattn
        input_size: {flow.encoder.width}
        use_cnn_module: false
        macaron_style: false
        static_chunk_size: !ref <chunk_size>
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        in_channels: 240
        n_spks: 1
        spk_emb_dim: 80
        cfm_params: !new:omegaconf.DictConfig
            content:
                sigma_min: 1.0e-06
                solver: euler
                t_scheduler: cosine
                training_cfg_rate: 0.0
                inference_cfg_rate: {flow.guidance}
                temperature: {flow.temperature}
                n_timesteps: {flow.steps}
                reg_loss_type: l1
        estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
            in_channels: {flow.velocity.inputs}
            out_channels: {flow.velocity.mel_bins}
            channels: [{flow.velocity.channels}]
            dropout: 0.0
            attention_head_dim: {flow.velocity.head_width}
            n_blocks: {flow.velocity.blocks}
            num_mid_blocks: {flow.velocity.middle}
            num_heads: {flow.velocity.heads}
            act_fn: gelu
            static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
            num_decoding_left_chunks: !ref <num_decoding_left_chunks>
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: {hift.mel_bins}
    base_channels: {hift.channels}
    nb_harmonics: {harmonics}
    sampling_rate: !ref <sample_rate>
    nsf_alpha: {hift.sine_level}
    nsf_sigma: {hift.voiced_noise_level}
    nsf_voiced_threshold: {hift.voiced_threshold_hz}
    upsample_rates: {upsample_rates}
    upsample_kernel_sizes: {upsample_kernels}
    istft_params:
        n_fft: {hift.transform_size}
        hop_len: {hift.transform_hop}
    resblock_kernel_sizes: {kernels}
    resblock_dilation_sizes: {dilations}
    source_resblock_kernel_sizes: {source_kernels}
    source_resblock_dilation_sizes: {source_dilations}
    lrelu_slope: {hift.slope}
    audio_limit: {hift.audio_limit}
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: {hift.mel_bins}
        cond_channels: {hift.pitch_channels}
"""


def describe(
    llm: LanguageModelConfig,
    flow: FlowConfig,
    hift: VocoderConfig,
    *,
    least: float = LEAST_PER_UNIT,
    most: float = MOST_PER_UNIT,
) -> str:
    """The text of cosyvoice2.yaml; a text token becomes at least and at most that many speech tokens."""
    lists = {
        name: json.dumps(getattr(hift, name))
        for name in (
            "upsample_rates",
            "upsample_kernels",
            "kernels",
            "dilations",
            "source_kernels",
            "source_dilations",
        )
    }
    return DESCRIPTION.format(
        llm=llm,
        flow=flow,
        hift=hift,
        harmonics=hift.harmonics - 1,
        least=least,
        most=most,
        sampling=SAMPLING,
        **lists,
    )


def backbone_settings(llm: LanguageModelConfig) -> dict[str, object]:
    """CosyVoice-BlankEN/config.json."""
    return {
        "model_type": "qwen2",
        "hidden_size": llm.width,
        "intermediate_size": llm.feed_forward,
        "num_hidden_layers": llm.layers,
        "num_attention_heads": llm.heads,
        "num_key_value_heads": llm.kv_heads,
        "vocab_size": llm.text_vocabulary,
        "rope_theta": llm.rope_theta,
        "rms_norm_eps": llm.norm_eps,
        "tie_word_embeddings": True,
    }


def text_tokenizer() -> dict[str, object]:
    """tokenizer.json: one token a pronunciation unit, units apart by spaces."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {unit: number for number, unit in enumerate(vocabulary())},
            "unk_token": ".",
        },
    }


def with_weight_norm(module: nn.Module) -> dict[str, Tensor]:
    """The vocoder's weights by their official keys: magnitude and direction apart."""
    plain = tuple(name for name, _ in module.named_modules() if name.startswith("source_downs."))
    out: dict[str, Tensor] = {}
    for key, value in module.state_dict().items():
        stem = key.removesuffix(".weight")
        if value.ndim == 3 and stem not in plain:
            name = f"{stem}.parametrizations.weight.original"
            length = value.flatten(1).norm(dim=1)[:, None, None]
            out[name + "0"] = length
            # of length one: what training left almost at zero must not become zero in half precision
            out[name + "1"] = torch.where(length > 0, value / length, torch.ones_like(value))
        else:
            out[key] = value
    return out


def half(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Float16, which loses nothing that can be heard at these sizes."""
    return {key: value.to(torch.float16) for key, value in tensors.items()}


def official_language_model_keys(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names as upstream's `llm.pt` has them; the unused text head is left out, being tied."""
    return {
        BACKBONE + key.removeprefix("backbone.") if key.startswith("backbone.") else key: value
        for key, value in weights.items()
    }


def store_half(path: Path) -> None:
    """Keep an ONNX file's large weights as float16; a cast widens them again when it is loaded."""
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    onnx.save(model, path)


def presets(options: argparse.Namespace) -> dict[str, dict[str, Tensor | str]]:
    """spk2info: a speaker vector and a language for each voice that ships."""
    vectors = flow.speaker_vectors(options)
    return {
        name: {"embedding": torch.from_numpy(vectors[teacher])[None], "language": language, "text": ""}
        for teacher, (name, language) in PRESETS.items()
    }


def write(options: argparse.Namespace) -> None:
    """Write every file of the folder."""
    work, out = options.work, options.out
    (out / "CosyVoice-BlankEN").mkdir(parents=True, exist_ok=True)
    llm_weights, _ = load_weights(work / "language_model.safetensors")
    flow_weights, _ = load_weights(work / "flow.safetensors")
    hift = vocoder.load(work / f"{options.vocoder}.safetensors")
    write_tensors(out / "llm.safetensors", half(official_language_model_keys(llm_weights)))
    write_tensors(out / "flow.safetensors", half(flow_weights))
    write_tensors(out / "hift.safetensors", half(with_weight_norm(hift)))
    speaker.write_onnx(speaker.load(work).encoder, out / "campplus.onnx")
    tokenizer.write_onnx(tokenizer.load(work)[0].encoder, out / "speech_tokenizer_v2.onnx")
    for encoder in ("campplus.onnx", "speech_tokenizer_v2.onnx"):
        store_half(out / encoder)
    write_tables(out / "spk2info.safetensors", presets(options))
    llm = language_model.config()
    (out / "cosyvoice2.yaml").write_text(describe(llm, flow.CONFIG, hift.config), encoding="utf-8")
    for name, content in (("config.json", backbone_settings(llm)), ("tokenizer.json", text_tokenizer())):
        (out / "CosyVoice-BlankEN" / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {total / 1e6:.1f} MB")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("cosyrt/builtin"))
    parser.add_argument(
        "--vocoder", default="vocoder", help="which vocoder weights to take: vocoder or vocoder_flow"
    )
    write(parser.parse_args())


if __name__ == "__main__":
    main()
