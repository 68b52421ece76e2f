"""cosyrt serve: what is wrong is told in one line before anything is loaded."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.cli.serve import NEEDED
from cosyrt.errors import MissingDependency, UsageError

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def served(*options: str, **environment: str) -> tuple[int, str]:
    """The exit code and the output of the command."""
    result = CliRunner().invoke(main, ["serve", *options], env=environment)
    return result.exit_code, result.output


def test_a_base_install_is_told_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the package that is missing and how to install it."""
    real = importlib.util.find_spec

    def find_spec(name: str, *rest: Any) -> Any:
        return None if name == "fastapi" else real(name, *rest)

    monkeypatch.setattr(sys.modules["cosyrt.cli.serve"], "find_spec", find_spec)
    code, output = served()

    assert code == MissingDependency.exit_code
    assert output == "cosyrt: `cosyrt serve` needs fastapi; install the extra: pip install 'cosyrt[serve]'\n"


def test_all_packages_of_the_extra_are_asked_for() -> None:
    """What pyproject.toml lists is what is looked for."""
    import tomllib

    extra = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]["serve"]
    names = {re.split(r"[<>=\[]", each)[0].replace("-", "_") for each in extra}

    assert set(NEEDED) == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "the setting 'port' is 70000"),
        (["--log", "xml"], "the setting 'log' is 'xml'"),
        (["--config", "/nowhere/serve.toml"], "cannot read the settings"),
    ],
)
def test_options_that_cannot_be_used(options: list[str], message: str) -> None:
    """The error says which setting it is."""
    code, output = served(*options)

    assert code == UsageError.exit_code
    assert output.startswith(f"cosyrt: {message}") and output.count("\n") == 1


def test_an_open_address_without_keys(tmp_path: Path) -> None:
    """The address is refused before the model is loaded, with a line that says how."""
    code, output = served("--host", "0.0.0.0", COSYRT_SERVE_DATABASE=str(tmp_path / "service.db"))

    assert code == UsageError.exit_code
    assert "cosyrt keys add NAME" in output


def test_an_unknown_variable() -> None:
    """A setting that is spelt wrongly in the environment is named, with the one that was meant."""
    code, output = served(COSYRT_SERVE_PROT="1")

    assert code == UsageError.exit_code
    assert "'prot', which is no setting; did you mean 'port'?" in output
