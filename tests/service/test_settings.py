"""Settings: a file, the environment and options, each over the last; what is wrong is told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.errors import UsageError
from cosyrt.service.settings import KINDS, PREFIX, Settings, read_settings, table

PAGE = Path(__file__).parents[2] / "docs" / "service.md"


def test_each_goes_over_the_last(tmp_path: Path) -> None:
    """Options go over the environment, that over the file, that over the defaults."""
    file = tmp_path / "serve.toml"
    file.write_text('port = 1\nmax_queue = 2\nhost = "::1"\nvoice_aliases = {alloy = "tom"}\n', "utf-8")
    environment = {f"{PREFIX}PORT": "3", f"{PREFIX}MAX_QUEUE": "4", "OTHER": "x"}
    settings = read_settings({"port": 5, "host": None}, environment, file)

    assert (settings.port, settings.max_queue, settings.host) == (5, 4, "::1")
    assert settings.voice_aliases == {"alloy": "tom"}
    assert settings.drain_s == Settings().drain_s


def test_the_environment_names_a_file(tmp_path: Path) -> None:
    """A container needs no options."""
    file = tmp_path / "serve.toml"
    file.write_text("port = 7", "utf-8")

    assert read_settings({}, {f"{PREFIX}CONFIG": str(file)}).port == 7


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("open", "yes", True),
        ("keys", "0", False),
        ("drain_s", "2.5", 2.5),
        ("voice_aliases", '{a = "b"}', {"a": "b"}),
        ("voice", "", ""),
    ],
)
def test_the_environment_is_text(name: str, text: str, value: object) -> None:
    """Each kind of value can be spelt in a variable."""
    assert getattr(read_settings({}, {PREFIX + name.upper(): text}), name) == value


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MAX_QUEU": "1"}, "did you mean 'max_queue'?"),
        ({"WXYZ": "1"}, "see docs/service.md"),
        ({"PORT": "many"}, "'port' is 'many'; it must be a number"),
        ({"PORT": "65536"}, "it must be a number from 0 to 65535"),
        ({"MAX_QUEUE": "-1"}, "it must be at least 0"),
        ({"DRAIN_S": "nan"}, "it must be at least 0"),
        ({"OPEN": "perhaps"}, "it must be true or false"),
        ({"VOICE_ALIASES": "alloy"}, "a table, such as"),
        ({"VOICE_ALIASES": "{a = 1}"}, "a table of texts"),
        ({"LOG": "xml"}, "it must be text or json"),
    ],
    ids=str,
)
def test_what_cannot_be_used(environment: dict[str, str], message: str) -> None:
    """The error names the setting, the value and what it must be."""
    with pytest.raises(UsageError) as refused:
        read_settings({}, {PREFIX + name: value for name, value in environment.items()})

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"prot = 1", "did you mean 'port'?"),
        (b"port = ", "are no TOML"),
        (b"\xff", "are no TOML"),
        (b'port = "8000"', "'port' is '8000'; it must be a number"),
        (b"port = true", "'port' is True; it must be a number"),
        (None, "cannot read the settings"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    """The error names the file where it is at fault."""
    file = tmp_path / "serve.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        read_settings({}, {}, file)


@given(
    st.sampled_from(sorted(KINDS)),
    st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.lists(st.text())),
)
def test_any_value_is_used_or_refused(name: str, value: Any) -> None:
    """Nothing but a UsageError comes of a value."""
    try:
        settings = Settings(**{name: value})
    except UsageError as error:
        assert repr(name) in str(error)
    else:
        assert isinstance(getattr(settings, name), KINDS[name] if isinstance(KINDS[name], type) else dict)


def test_the_page_has_every_setting() -> None:
    """The table of docs/service.md is that of the code."""
    rows = [f"| `{name}` | `{default}` | {about} |" for name, default, about in table()]
    page = PAGE.read_text("utf-8")

    assert [row for row in rows if row not in page] == []
