"""Rates and frame sizes: how samples, mel frames and speech tokens are related to seconds.

They are read from the model description, never assumed: CosyVoice 1 runs at 22 050 Hz, 2 and 3 at 24 000 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cosyrt.errors import ConfigError

MIB = 1 << 20  # bytes: memory is counted in mebibytes, as nvidia-smi does


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How long a token, a mel frame and a sample are.

    Raises:
        ConfigError: the samples of a token do not divide into these mel frames.
    """

    sample_hz: int = 24_000
    token_hz: int = 25
    frames_per_token: int | Fraction = 2  # of CosyVoice 1 a fraction: 441/256

    def __post_init__(self) -> None:
        if self.sample_hz % (self.token_hz * self.frames_per_token):
            raise ConfigError(
                f"{self.sample_hz} samples/s do not divide into {self.token_hz} tokens/s "
                f"of {self.frames_per_token} mel frames each; check the model description"
            )

    @property
    def samples_per_frame(self) -> int:
        """Samples in one mel frame (480 in CosyVoice 2)."""
        return int(self.sample_hz // (self.token_hz * self.frames_per_token))

    @property
    def samples_per_token(self) -> int:
        """Samples in one speech token (960 in CosyVoice 2)."""
        return self.sample_hz // self.token_hz

    def frames(self, tokens: int) -> int:
        """Whole mel frames of that many tokens, as upstream rounds them: down."""
        return int(tokens * self.frames_per_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class MelSpec:
    """How a mel spectrogram is computed; the defaults are CosyVoice 2's."""

    sample_hz: int = 24_000
    n_fft: int = 1_920
    win: int = 1_920
    hop: int = 480
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float | None = 8_000.0  # None: half the sample rate
