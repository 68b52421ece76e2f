"""A tiny model folder in the official CosyVoice 1 layout: real files, real networks, random weights."""

from __future__ import annotations

import base64
from pathlib import Path

import torch

from cosyrt.models.conformer import BlocksConfig
from cosyrt.models.full_unet import FullUNetConfig
from cosyrt.models.regulated_flow import RegulatedFlow, RegulatedFlowConfig
from cosyrt.models.source import SampledSource
from cosyrt.models.transformer_lm import TransformerLM, TransformerLMConfig
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from cosyrt.text.ranked_tokenizer import WHISPER
from cosyrt.text.special_tokens import whisper_tags
from recipes.builtin_voice.export import with_weight_norm
from tests.tiny import LEAST, MOST, SPEECH_VOCABULARY
from tests.voice.onnx_models import write_campplus, write_speech_tokenizer

MERGES = (b"He", b"ll", b"Hell", b"Hello", b" t", b" th", b"")  # as Whisper's, the last token is empty
TEXT_TOKENS = 256 + len(MERGES) + len(whisper_tags(100))
LLM = TransformerLMConfig(
    text=BlocksConfig(inputs=24, width=32, heads=2, feed_forward=48, layers=1),
    speech=BlocksConfig(inputs=32, width=32, heads=4, feed_forward=48, layers=2),
    text_vocabulary=TEXT_TOKENS,
    speech_vocabulary=SPEECH_VOCABULARY,
)
FLOW = RegulatedFlowConfig(
    speech_vocabulary=SPEECH_VOCABULARY,
    encoder=BlocksConfig(inputs=32, width=32, heads=2, feed_forward=48, layers=1),
    velocity=FullUNetConfig(channels=(16, 16), head_width=8, heads=2, blocks=1, middle=1),
)
VOCODER = VocoderConfig(
    channels=32,
    pitch_channels=16,
    sample_hz=22_050,
    upsample_rates=(8, 8),
    upsample_kernels=(16, 16),
    source_kernels=(7, 11),
    source_dilations=((1, 3, 5), (1, 3, 5)),
)
PRESETS = ("中文女", "英文男")
DESCRIPTION = """\
sample_rate: 22050
text_encoder_input_size: {llm.text.inputs}
llm_input_size: {llm.speech.inputs}
llm_output_size: {llm.speech.width}
spk_embed_dim: 192
llm: !new:cosyvoice.llm.llm.TransformerLM
    text_encoder_input_size: !ref <text_encoder_input_size>
    llm_input_size: !ref <llm_input_size>
    llm_output_size: !ref <llm_output_size>
    text_token_size: {llm.text_vocabulary}
    speech_token_size: {llm.speech_vocabulary}
    spk_embed_dim: !ref <spk_embed_dim>
    min_token_text_ratio: {least}
    max_token_text_ratio: {most}
    text_encoder: !new:cosyvoice.transformer.encoder.ConformerEncoder
        input_size: !ref <text_encoder_input_size>
        output_size: {llm.text.width}
        attention_heads: {llm.text.heads}
        linear_units: {llm.text.feed_forward}
        num_blocks: {llm.text.layers}
    llm: !new:cosyvoice.transformer.encoder.TransformerEncoder
        input_size: !ref <llm_input_size>
        output_size: !ref <llm_output_size>
        attention_heads: {llm.speech.heads}
        linear_units: {llm.speech.feed_forward}
        num_blocks: {llm.speech.layers}
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: 0.8
        top_k: 25
        win_size: 10
        tau_r: 0.1
flow: !new:cosyvoice.flow.flow.MaskedDiffWithXvec
    input_size: {flow.encoder.inputs}
    output_size: 80
    spk_embed_dim: !ref <spk_embed_dim>
    vocab_size: {flow.speech_vocabulary}
    input_frame_rate: {token_hz}
    encoder: !new:cosyvoice.transformer.encoder.ConformerEncoder
        input_size: {flow.encoder.inputs}
        output_size: {flow.encoder.width}
        attention_heads: {flow.encoder.heads}
        linear_units: {flow.encoder.feed_forward}
        num_blocks: {flow.encoder.layers}
    length_regulator: !new:cosyvoice.flow.length_regulator.InterpolateRegulator
        channels: 80
        sampling_ratios: [1, 1, 1, 1]
    decoder: !new:cosyvoice.flow.flow_matching.ConditionalCFM
        cfm_params: !new:omegaconf.DictConfig
            content:
                inference_cfg_rate: 0.7
        estimator: !new:cosyvoice.flow.decoder.ConditionalDecoder
            in_channels: {flow.velocity.inputs}
            out_channels: 80
            channels: [16, 16]
            attention_head_dim: {flow.velocity.head_width}
            n_blocks: {flow.velocity.blocks}
            num_mid_blocks: {flow.velocity.middle}
            num_heads: {flow.velocity.heads}
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: 80
    base_channels: {hift.channels}
    nb_harmonics: 8
    sampling_rate: !ref <sample_rate>
    nsf_alpha: {hift.sine_level}
    nsf_sigma: {hift.voiced_noise_level}
    nsf_voiced_threshold: {hift.voiced_threshold_hz}
    upsample_rates: [8, 8]
    upsample_kernel_sizes: [16, 16]
    istft_params:
        n_fft: {hift.transform_size}
        hop_len: {hift.transform_hop}
    resblock_kernel_sizes: [3, 7, 11]
    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    source_resblock_kernel_sizes: [7, 11]
    source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5]]
    lrelu_slope: {hift.slope}
    audio_limit: {hift.audio_limit}
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: 80
        cond_channels: {hift.pitch_channels}
get_tokenizer: !name:whisper.tokenizer.get_tokenizer
    multilingual: True
    num_languages: 100
    language: 'en'
    task: 'transcribe'
allowed_special: 'all'
"""


def language_model(seed: int = 0) -> TransformerLM:
    torch.manual_seed(seed)
    model = TransformerLM(LLM).eval().requires_grad_(False)
    for layer in model.llm.encoders:  # zero as they are made; then distance would hardly count
        layer.self_attn.pos_bias_u.normal_()
        layer.self_attn.pos_bias_v.normal_()
    return model


def flow(seed: int = 0) -> RegulatedFlow:
    torch.manual_seed(seed)
    return RegulatedFlow(FLOW).eval().requires_grad_(False)


def vocoder(config: VocoderConfig = VOCODER, seed: int = 0) -> Vocoder:
    """A vocoder whose pitch follows the mel around 120 Hz, so that the source is voiced."""
    torch.manual_seed(seed)
    model = Vocoder(config, SampledSource).eval().requires_grad_(False)
    model.f0_predictor.classifier.weight.mul_(60)
    model.f0_predictor.classifier.bias.fill_(120)
    return model


def write_model(path: Path, seed: int = 0, *, token_hz: int = 50) -> None:
    """Every file of a folder that `cosyrt.load` opens, as upstream's are: `.pt` throughout.

    The text vocabulary is put beside them; its tokens are bytes, a few of `MERGES`, and Whisper's tags.
    """
    path.mkdir(parents=True)
    torch.save(language_model(seed).state_dict(), path / "llm.pt")
    torch.save(flow(seed).state_dict(), path / "flow.pt")
    torch.save(with_weight_norm(vocoder(seed=seed)), path / "hift.pt")
    write_campplus(path / "campplus.onnx")
    write_speech_tokenizer(path / "speech_tokenizer_v1.onnx", every_frames=100 // token_hz)
    write_vocabulary(path / WHISPER)
    speakers = torch.randn(len(PRESETS), 1, 192, generator=torch.Generator().manual_seed(seed))
    torch.save(
        {name: {"embedding": who} for name, who in zip(PRESETS, speakers, strict=True)}, path / "spk2info.pt"
    )
    (path / "cosyvoice.yaml").write_text(
        DESCRIPTION.format(llm=LLM, flow=FLOW, hift=VOCODER, least=LEAST, most=MOST, token_hz=token_hz)
    )


def write_vocabulary(path: Path, merges: tuple[bytes, ...] = MERGES) -> None:
    """A vocabulary in the `.tiktoken` format: all bytes, then these."""
    tokens = [*(bytes([byte]) for byte in range(256)), *merges]
    lines = [f"{base64.b64encode(token).decode() or '='} {rank}" for rank, token in enumerate(tokens)]
    path.write_text("\n".join(lines) + "\n")
