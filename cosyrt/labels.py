"""Labels of synthetic speech: what a file, a header or a notice says about where it comes from.

China's GB 45438-2025 names a metadata key, `AIGC`, and the fields of its JSON value. Where a reader wants a
field spelt otherwise, or the producer has a registered code, `LabelSettings` says so.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.formats import Format

KEY = "AIGC"
HEADER = "X-AIGC"
COMMENT = "AI-generated speech"
FIELDS = (
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
)
MAX_FIELD_CHARACTERS = 200


class Signs(Protocol):
    """Whatever signs complete files; `cosyrt.credentials.Credentials` does."""

    def signed(self, data: bytes, format: Format) -> bytes:
        """Sign a file of that format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label of one piece of speech, as every encoder takes it."""

    text: str  # JSON
    produce_id: str = ""  # the number of this piece of speech, also in the text
    notice: bool = False  # whether it can be heard, too, before the speech
    signer: Signs | None = None  # of complete files

    @property
    def headers(self) -> dict[str, str]:
        """The label as an HTTP header: the only place that bare samples have for it."""
        return {HEADER: quote(self.text, safe='{}":,/ ')}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """What an operator's labels say.

    Raises:
        UsageError: a value that is not one short line of text, or a field that the standard does not have.
    """

    producer: str = "cosyrt"  # a registered producer has a code
    propagator: str = ""
    status: str = "1"  # 1: certainly synthetic, 2: possibly, 3: suspected
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # spellings of FIELDS
    notice: bool = False  # a short tonal signal before the speech
    signer: Signs | None = None  # of complete files, beside the metadata
    optional: bool = False  # whether speech may be made without a label

    def __post_init__(self) -> None:
        for name in ("producer", "propagator", "status"):
            _check_line(name, getattr(self, name))
        for name, spelling in self.names.items():
            if name not in FIELDS:
                raise UsageError(f"labels have no field {name!r}; rename one of {', '.join(FIELDS)}")
            _check_line(name, spelling)

    def label(self, produce_id: str = "") -> Label:
        """Make the label of one piece of speech; without an id of the operator's it gets a random one."""
        produce_id = produce_id or secrets.token_hex(12)
        values = {
            "Label": self.status,
            "ContentProducer": self.producer,
            "ProduceID": produce_id,
            "ContentPropagator": self.propagator,
        }
        fields = {self.names.get(name, name): values.get(name, "") for name in FIELDS}
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return Label(text=text, produce_id=produce_id, notice=self.notice, signer=self.signer)


def fields_of(text: str) -> dict[str, str]:
    """Read the fields of a label, whoever wrote it; what is no JSON object is one field, `text`."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return {"text": text[:MAX_FIELD_CHARACTERS]}
    return {str(name): str(value)[:MAX_FIELD_CHARACTERS] for name, value in fields.items()}


def _check_line(name: str, value: str) -> None:
    if len(value) > MAX_FIELD_CHARACTERS or not value.isprintable():
        raise UsageError(
            f"the field {name!r} of labels is {value[:40]!r}; "
            f"give one line of at most {MAX_FIELD_CHARACTERS} characters"
        )
