"""Content credentials (C2PA) of complete files: a signed statement in the file that a model made its sound.

They are the second, stronger layer beside metadata: whoever changes the file breaks the signature. Files
that are sent while they are made cannot be signed. Needs the extra `c2pa`, a certificate chain and its key.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from cosyrt.encoders import wav_header
from cosyrt.errors import AudioError, MissingDependency, UsageError, one_line
from cosyrt.formats import FORMATS, Format

SIGNABLE = frozenset({"wav", "mp3", "flac", "m4a"})
MEDIA_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "mp4": "audio/mp4"}
_MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_STATEMENT = {
    "claim_generator_info": [{"name": "cosyrt"}],
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": _MADE_BY_A_MODEL}]},
        }
    ],
}


class Credentials:
    """A certificate chain (PEM, the signer's first) and its private key (PEM, PKCS 8) to sign files with.

    Raises:
        UsageError: a file that cannot be read, or that is no key or certificate that can sign.
        MissingDependency: the extra `c2pa` is not installed.
    """

    def __init__(self, certificates: Path, key: Path) -> None:
        chain, secret = _read(certificates), _read(key)
        c2pa = _library()
        try:
            info = c2pa.C2paSignerInfo(_algorithm(secret), chain, secret, None)
            self._signer = c2pa.Signer.from_info(info)
            trial = self.signed(wav_header(8_000, 2) + b"\0\0", FORMATS["wav"])
            if found_credentials(trial, "wav") not in ("valid", "trusted"):
                raise ValueError("the key is not that of the certificate")
        except (c2pa.C2paError, AudioError, ValueError, TypeError) as error:
            raise UsageError(
                f"{certificates} and {key} cannot sign ({one_line(error, 120)}); give a chain in PEM, "
                "the signer's certificate first, and its key in PKCS 8"
            ) from error

    def signed(self, data: bytes, format: Format) -> bytes:
        """Sign a complete file; one of a format that cannot be signed comes back as it is.

        Raises:
            AudioError: it cannot be signed with this certificate.
        """
        if format.name not in SIGNABLE:
            return data
        c2pa, out = _library(), io.BytesIO()
        try:
            builder = c2pa.Builder(json.dumps(_STATEMENT))
            builder.sign(self._signer, format.media_type, io.BytesIO(data), out)
        except c2pa.C2paError as error:
            raise AudioError(
                f"the file cannot be signed ({one_line(error, 120)}); check the certificate and its end"
            ) from error
        return out.getvalue()


def found_credentials(data: bytes, container: str) -> str:
    """Tell how a file's credentials hold: valid, trusted or invalid; empty: none, or none that can be read.

    A signature that holds is `valid`; `trusted` if its signer is on C2PA's list of trust, too.
    """
    kind = next((kind for name, kind in MEDIA_TYPES.items() if name in container.split(",")), None)
    if kind is None:
        return ""
    try:
        c2pa = _library()
    except MissingDependency:
        return ""
    try:
        state = json.loads(c2pa.Reader(kind, io.BytesIO(data)).json()).get("validation_state", "")
    except (c2pa.C2paError, ValueError):
        return ""
    return str(state).lower()


def _library() -> Any:
    try:
        import c2pa
    except ImportError as error:
        raise MissingDependency("content credentials need c2pa: pip install 'cosyrt[c2pa]'") from error
    return c2pa


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; check the path") from error


def _algorithm(key: bytes) -> bytes:
    """The name of the signature that a private key makes."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(key, None)
    if isinstance(loaded, ec.EllipticCurvePrivateKey):
        return {256: b"es256", 384: b"es384"}.get(loaded.curve.key_size, b"es512")
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    if isinstance(loaded, rsa.RSAPrivateKey):
        return b"ps256"
    raise ValueError(f"a key of the kind {type(loaded).__name__}")
