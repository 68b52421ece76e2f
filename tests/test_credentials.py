"""Content credentials: files that say, signed, that a model made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("c2pa", reason="the extra c2pa is not installed")

from cosyrt.audio import Audio
from cosyrt.credentials import SIGNABLE, Credentials, found_credentials
from cosyrt.encoders import encode
from cosyrt.errors import UsageError
from cosyrt.formats import FORMATS
from cosyrt.label_check import check_label
from cosyrt.labels import LabelSettings
from tests.certificates import write_signer

SPEECH = Audio(np.sin(np.arange(12_000, dtype=np.float32) / 20) / 2, 24_000)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate chain and the key of its first certificate."""
    return write_signer(tmp_path_factory.mktemp("signer"))


@pytest.mark.parametrize("name", sorted(SIGNABLE))
def test_a_complete_file_is_signed(name: str, signer: tuple[Path, Path]) -> None:
    """The signature holds, the label in the metadata is still there, and the sound is what it was."""
    label = LabelSettings(signer=Credentials(*signer)).label()
    data = SPEECH.to_bytes(name, label=label)
    finding = check_label(data)

    assert (finding.labelled, finding.credentials) == (True, "valid")
    assert Audio.read(data) == Audio.read(SPEECH.to_bytes(name))


def test_a_change_breaks_the_signature(signer: tuple[Path, Path]) -> None:
    """One sample that is another one, and the credentials no longer hold."""
    data = bytearray(SPEECH.to_bytes("wav", label=LabelSettings(signer=Credentials(*signer)).label()))
    data[5_000] ^= 1

    assert check_label(bytes(data)).credentials == "invalid"


def test_what_cannot_be_signed_is_left_as_it_is(signer: tuple[Path, Path]) -> None:
    """Ogg and bare samples have no credentials; their label is what it would be without."""
    label = LabelSettings(signer=Credentials(*signer)).label("a1")
    for name in FORMATS.keys() - SIGNABLE - {"wave", "webm", "ogg", "opus"}:  # the last have a random id
        plain = LabelSettings().label("a1")
        assert encode(SPEECH.samples, 24_000, name, label=label) == encode(
            SPEECH.samples, 24_000, name, label=plain
        )
    assert check_label(SPEECH.to_bytes("opus", label=label)).credentials == ""


def test_a_file_without_credentials() -> None:
    """Files of others have none, and what only claims to be a file is no error."""
    assert check_label(SPEECH.to_bytes("mp3")).credentials == ""
    assert found_credentials(b"no audio", "wav") == ""


def test_what_cannot_sign_says_so_at_once(signer: tuple[Path, Path], tmp_path: Path) -> None:
    """A missing file, one that is none, and files in the wrong order are one line before anything is made."""
    chain, key = signer
    junk = tmp_path / "junk.pem"
    junk.write_text("no key")
    _, other = write_signer(tmp_path)
    for pair in ((chain, other), (tmp_path / "missing.pem", key), (chain, junk), (key, chain), (junk, key)):
        with pytest.raises(UsageError) as caught:
            Credentials(*pair)
        assert "\n" not in str(caught.value)
