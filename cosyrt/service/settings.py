"""Settings of the service: a TOML file, then the environment, then options, each going before the last.

Names are the same everywhere: `max_queue` in the file is `COSYRT_SERVE_MAX_QUEUE` in the environment. A name
that is none is an error that says which was meant.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from cosyrt.arguments import shown
from cosyrt.errors import UsageError, one_line

PREFIX = "COSYRT_SERVE_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def _setting(default: Any, help: str, least: float | None = None, most: float | None = None) -> Any:
    """A field with its line of documentation and the range that its value must lie in."""
    about = {"help": help, "least": least, "most": most}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that an operator can decide.

    Raises:
        UsageError: a value of the wrong kind or out of its range.
    """

    host: str = _setting("127.0.0.1", "the address to listen on; other machines reach 0.0.0.0")
    port: int = _setting(8000, "the port; 0 takes a free one", 0, 65_535)
    model: str = _setting("", "the model folder; empty: the built-in voice")
    device: str = _setting("", "where the model runs: cpu, cuda, cuda:1, mps; empty: the best there is")
    name: str = _setting("", "the name of the model in lists; empty: that of its folder")
    database: str = _setting("", "a file, or postgresql://…; empty: service.db in the user's data folder")

    keys: bool = _setting(True, "requests need a key once one was made (cosyrt keys add); false: never")
    open: bool = _setting(
        False, "listen beyond this machine without keys: whoever reaches the port may use it"
    )
    open_lists: bool = _setting(
        True, "models and shared voices are listed without a key, as Open WebUI wants"
    )
    open_metrics: bool = _setting(False, "/metrics is answered without a key")
    origins: str = _setting(
        "", "web pages that may call the service, such as https://a.example, https://b.example"
    )
    hosts: str = _setting(
        "", "names by which a service without keys is called, beside localhost and addresses"
    )
    requests_per_minute: int = _setting(0, "speech requests a key may begin in a minute; 0: any number", 0)
    streams_per_key: int = _setting(4, "speech requests of one key at once; 0: any number", 0)

    voice: str = _setting("", "the voice of requests that name none; empty: one for the language of the text")
    require_consent: bool = _setting(
        True, "a voice of a recording needs its speaker's consent (POST /v1/audio/voice_consents)"
    )
    max_voices: int = _setting(100, "stored voices of one account", 1)
    voice_aliases: dict[str, str] = _setting({}, 'further names of voices: {alloy = "tom"}')
    other_models: bool = _setting(True, "requests for a model of another name are answered by this one")

    cluster: str = _setting(
        "", "the address of a Ray cluster whose machines speak; local: a private one on this machine"
    )
    replicas: int = _setting(1, "models that speak in the cluster, at least", 1)
    max_replicas: int = _setting(0, "models that speak in the cluster, at most; 0: as many as at least", 0)
    replica_cpus: float = _setting(1.0, "processors that each of them takes", 0)
    replica_gpus: float = _setting(0.0, "graphics cards that each of them takes; a part, such as 0.5, too", 0)

    max_active: int = _setting(0, "requests spoken at once; 0: as many as suit the device", 0)
    max_queue: int = _setting(10, "requests that may wait for their turn", 0)
    first_audio_s: float = _setting(60.0, "a request that has no audio after so many seconds is ended", 0.1)
    request_s: float = _setting(600.0, "a request that is not over after so many seconds is ended", 1)
    write_s: float = _setting(10.0, "a reader that takes nothing for so many seconds is disconnected", 0.1)
    receive_s: float = _setting(15.0, "a request that has not arrived after so many seconds is refused", 0.1)
    drain_s: float = _setting(30.0, "after SIGTERM, speech that has begun may go on for so many seconds", 0)
    max_text: int = _setting(4_096, "characters of a text", 1)
    max_body: int = _setting(65_536, "bytes of a request without a file", 1_024)
    max_upload: int = _setting(11_000_000, "bytes of a request with a file", 1_024)
    max_reference_s: float = _setting(30.0, "seconds of a reference recording", 1, 30)
    max_sockets: int = _setting(256, "connections at once", 1)
    socket_idle_s: float = _setting(
        60.0, "a WebSocket on which nothing is said for so many seconds is closed", 1
    )
    socket_s: float = _setting(1_800.0, "a WebSocket is closed after so many seconds", 1)

    label_producer: str = _setting(
        "cosyrt", "who made the speech, in its label; a registered producer has a code"
    )
    label_propagator: str = _setting("", "who passes it on, in its label")
    label_names: dict[str, str] = _setting(
        {}, 'other spellings of the label\'s fields: {ProduceID = "ProduceId"}'
    )
    label_certificates: str = _setting("", "a certificate chain (PEM) to sign complete files with (C2PA)")
    label_key: str = _setting("", "the private key (PEM) of the first certificate of label_certificates")
    label_notice: bool = _setting(
        False, "a short signal of tones before all speech says that it is synthetic"
    )

    log: str = _setting("text", "how each request is logged: text or json")
    log_requests: bool = _setting(True, "how each request went is kept in the database")
    log_text: bool = _setting(False, "the texts that were spoken are kept, too")
    keep_requests_days: int = _setting(30, "days for which requests are kept; 0: for ever", 0)
    keep_audit_days: int = _setting(400, "days for which the audit is kept; 0: for ever", 0)
    plan: bool = _setting(True, "the plan that `cosyrt tune` made for this model and machine is used")
    watch_plan: bool = _setting(
        False, "a part of the plan is given up when twice as slow as planned, or found wrong by spot checks"
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, _checked(each, getattr(self, each.name)))
        if self.log not in ("text", "json"):
            raise _refused("log", self.log, "text or json")


KINDS: dict[str, Any] = get_type_hints(Settings)


def read_settings(
    options: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None
) -> Settings:
    """The settings of a file, over them those of the environment, over them the options that are not None.

    Raises:
        UsageError: a file that cannot be read, an unknown name, or a value that cannot be used.
    """
    path = file or (Path(named) if (named := environment.get(FILE_VARIABLE)) else None)
    values = _of_file(path) if path is not None else {}
    values |= _of_environment(environment)
    values |= {name: value for name, value in options.items() if value is not None}
    return Settings(**values)


def _of_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the settings {path}: {error.strerror}; check the path") from error
    except ValueError as error:  # also of text that is no UTF-8
        raise UsageError(f"the settings {path} are no TOML: {one_line(error, 120)}; correct them") from error
    _check_names(values, KINDS, f"the settings {path}")
    return values


def _of_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    named = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name != FILE_VARIABLE
    }
    _check_names(named, KINDS, f"the environment ({PREFIX}…)")
    return {name: _from_text(name, value) for name, value in named.items()}


def _check_names(names: Iterable[str], known: Iterable[str], where: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            advice = f"did you mean {near[0]!r}?" if near else "see docs/service.md for all names"
            raise UsageError(f"{where} has {name!r}, which is no setting; {advice}")


def _from_text(name: str, text: str) -> Any:
    """The value that a variable of the environment spells."""
    kind = KINDS[name]
    if kind is bool:
        if text.lower() in _YES | _NO:
            return text.lower() in _YES
        raise _refused(name, text, "true or false")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            raise _refused(name, text, "a number") from error
    if kind is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError as error:
        raise _refused(name, text, 'a table, such as {alloy = "tom"}') from error


def _checked(field: Field[Any], value: Any) -> Any:
    """The value of a setting, if it is of the kind of its field and in its range."""
    kind = KINDS[field.name]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind == dict[str, str]:
        if isinstance(value, dict) and all(isinstance(each, str) for pair in value.items() for each in pair):
            return value
        raise _refused(field.name, value, "a table of texts")
    if type(value) is not kind:
        raise _refused(field.name, value, {str: "a text", bool: "true or false"}.get(kind, "a number"))
    least, most = field.metadata["least"], field.metadata["most"]
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        limits = f"at least {least:g}" if most is None else f"a number from {least:g} to {most:g}"
        raise _refused(field.name, value, limits)
    return value


def _refused(name: str, value: object, wanted: str) -> UsageError:
    return UsageError(f"the setting {name!r} is {shown(value)}; it must be {wanted}")


def table() -> list[tuple[str, str, str]]:
    """Name, default and meaning of every setting, for the documentation."""
    return [(each.name, _default(each), each.metadata["help"]) for each in fields(Settings)]


def _default(field: Field[Any]) -> str:
    value = {} if field.default is MISSING else field.default
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
