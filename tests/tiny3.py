"""A tiny model folder in the official CosyVoice 3 layout: real files, real networks, random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import pre_tokenizers

from cosyrt.checkpoint.tensors import write_tensors
from cosyrt.models.causal_vocoder import CausalVocoder
from cosyrt.models.dit import DiTConfig
from cosyrt.models.flow import DiTFlow, DiTFlowConfig, LookAheadConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.vocoder import VocoderConfig
from cosyrt.text.special_tokens import special_tokens
from recipes.builtin_voice.export import backbone_settings, official_language_model_keys, with_weight_norm
from tests.tiny import LEAST, MOST, SPEECH_VOCABULARY, write_letters, write_presets
from tests.voice.onnx_models import write_campplus, write_speech_tokenizer

LLM = LanguageModelConfig(
    width=32,
    feed_forward=48,
    layers=2,
    heads=4,
    kv_heads=2,
    text_vocabulary=len(pre_tokenizers.ByteLevel.alphabet()) + len(special_tokens(True)),
    rope_theta=1e4,
    speech_vocabulary=SPEECH_VOCABULARY,
    shared_marks=True,
)
FLOW = DiTFlowConfig(
    speech_vocabulary=SPEECH_VOCABULARY,
    encoder=LookAheadConfig(hidden=32),
    velocity=DiTConfig(width=32, layers=2, heads=2, head_width=16),
)
VOCODER = VocoderConfig(channels=32, pitch_channels=16, lookahead_frames=4)
DESCRIPTION = """\
sample_rate: 24000
token_frame_rate: 25
token_mel_ratio: 2
chunk_size: 25
llm: !new:cosyvoice.llm.llm.CosyVoice3LM
    speech_token_size: {llm.speech_vocabulary}
    mix_ratio: [5, 15]
    min_token_text_ratio: {least}
    max_token_text_ratio: {most}
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: 0.8
        top_k: 25
        win_size: 10
        tau_r: 0.1
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithDiT
    input_size: {flow.encoder.width}
    output_size: {flow.mel_bins}
    spk_embed_dim: {flow.speaker_width}
    vocab_size: {flow.speech_vocabulary}
    input_frame_rate: !ref <token_frame_rate>
    token_mel_ratio: !ref <token_mel_ratio>
    pre_lookahead_len: {flow.encoder.lookahead_tokens}
    pre_lookahead_layer: !new:cosyvoice.transformer.upsample_encoder.PreLookaheadLayer
        in_channels: {flow.encoder.width}
        channels: {flow.encoder.hidden}
        pre_lookahead_len: {flow.encoder.lookahead_tokens}
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        cfm_params: !new:omegaconf.DictConfig
            content:
                inference_cfg_rate: {flow.guidance}
        estimator: !new:cosyvoice.flow.DiT.dit.DiT
            dim: {flow.velocity.width}
            depth: {flow.velocity.layers}
            heads: {flow.velocity.heads}
            dim_head: {flow.velocity.head_width}
            ff_mult: {flow.velocity.widening}
            mel_dim: {flow.velocity.mel_bins}
            mu_dim: {flow.velocity.mu_width}
            spk_dim: {flow.velocity.speaker_width}
            static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
hift: !new:cosyvoice.hifigan.generator.CausalHiFTGenerator
    in_channels: {hift.mel_bins}
    base_channels: {hift.channels}
    nb_harmonics: 8
    sampling_rate: !ref <sample_rate>
    nsf_alpha: {hift.sine_level}
    nsf_sigma: {hift.voiced_noise_level}
    nsf_voiced_threshold: {hift.voiced_threshold_hz}
    upsample_rates: [8, 5, 3]
    upsample_kernel_sizes: [16, 11, 7]
    istft_params:
        n_fft: {hift.transform_size}
        hop_len: {hift.transform_hop}
    resblock_kernel_sizes: [3, 7, 11]
    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    source_resblock_kernel_sizes: [7, 7, 11]
    source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    lrelu_slope: {hift.slope}
    audio_limit: {hift.audio_limit}
    conv_pre_look_right: {hift.lookahead_frames}
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.CausalConvRNNF0Predictor
        num_class: 1
        in_channels: {hift.mel_bins}
        cond_channels: {hift.pitch_channels}
"""


def language_model(seed: int = 0) -> SpeechLanguageModel:
    torch.manual_seed(seed)
    return SpeechLanguageModel(LLM).eval().requires_grad_(False)


def flow(seed: int = 0) -> DiTFlow:
    torch.manual_seed(seed)
    return DiTFlow(FLOW).eval().requires_grad_(False)


def vocoder(config: VocoderConfig = VOCODER, seed: int = 0) -> CausalVocoder:
    """A vocoder whose pitch follows the mel around 120 Hz, so that the source is voiced."""
    torch.manual_seed(seed)
    model = CausalVocoder(config).eval().requires_grad_(False)
    model.f0_predictor.classifier.weight.mul_(60)
    model.f0_predictor.classifier.bias.fill_(120)
    return model


def write_model(path: Path, seed: int = 0) -> None:
    """Every file of a folder that `cosyrt.load` opens; its text tokens are bytes and CosyVoice 3's tags."""
    words = path / "CosyVoice-BlankEN"
    words.mkdir(parents=True)
    write_tensors(path / "llm.safetensors", official_language_model_keys(language_model(seed).state_dict()))
    write_tensors(path / "flow.safetensors", flow(seed).state_dict())
    write_tensors(path / "hift.safetensors", with_weight_norm(vocoder(seed=seed)))
    write_campplus(path / "campplus.onnx")
    write_speech_tokenizer(path / "speech_tokenizer_v3.onnx")
    write_presets(path, seed)
    (words / "config.json").write_text(json.dumps(backbone_settings(LLM)))
    write_letters(words)
    (path / "cosyvoice3.yaml").write_text(
        DESCRIPTION.format(llm=LLM, flow=FLOW, hift=VOCODER, least=LEAST, most=MOST)
    )
