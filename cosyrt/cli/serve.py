"""cosyrt serve: speech over HTTP and WebSocket for other programs."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.cluster import cluster_option
from cosyrt.cli.options import verbose_option
from cosyrt.cli.paths import UserPath
from cosyrt.cli.terminal import table
from cosyrt.errors import MissingDependency

if TYPE_CHECKING:
    from cosyrt.service.state import Service

NEEDED = "fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client", "sqlalchemy", "alembic"


@click.command()
@click.option("--host", metavar="ADDRESS", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", metavar="NUMBER", type=int, help="The port; 0 takes a free one.  [default: 8000]")
@click.option("--model", metavar="FOLDER", help="A CosyVoice model folder.  [default: the built-in voice]")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps …  [default: the best there is]")
@click.option("--voice", metavar="NAME", help="Who speaks where a request names nobody.")
@click.option("--open", is_flag=True, default=None, help="Listen to other machines without keys.")
@cluster_option
@click.option("--log", metavar="KIND", help="How requests are logged: text or json.  [default: text]")
@click.option("--watch-plan", is_flag=True, default=None, help="Give up slow or wrong parts of the plan.")
@click.option(
    "--config",
    metavar="FILE",
    type=UserPath(),
    help="A TOML file of settings (docs/service.md).",
)
@verbose_option
def serve(config: Path | None, **options: Any) -> None:
    """Answer requests for speech: OpenAI's API, WebSocket, and a page at /.

    \b
    cosyrt serve
    curl 127.0.0.1:8000/v1/audio/speech -d '{"input": "It speaks."}' -o speech.mp3
    """
    check_installed()
    from cosyrt.service.request_log import log_as
    from cosyrt.service.settings import read_settings

    settings = read_settings(options, os.environ, config)
    if settings.cluster:
        from cosyrt.cluster.start import serve as run
    else:
        from cosyrt.service.start import serve as run
    log_as(settings.log)
    run(settings, announce)


def check_installed() -> None:
    """Refuse to start without the packages of the extra.

    Raises:
        MissingDependency: one of them is not installed.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise MissingDependency(
            f"`cosyrt serve` needs {', '.join(missing)}; install the extra: pip install 'cosyrt[serve]'"
        )


def announce(service: Service, address: str) -> None:
    """Print one screen: where it is, what it speaks with, and who may call."""
    rows = [
        ("address", address),
        ("model", f"{service.model} ({service.frontend.family}) on {service.frontend.device}"),
        ("voices", ", ".join(service.frontend.voices) or "none; send ref_audio"),
        _where(service),
        ("keys", "on" if service.accounts.has_keys() else "none; make one: cosyrt keys add NAME"),
        ("try", f'curl {address}/v1/audio/speech -d \'{{"input": "It speaks."}}\' -o speech.mp3'),
    ]
    click.echo(table(["", ""], rows), err=True)


def _where(service: Service) -> tuple[str, str]:
    """How many replicas speak, or the plan that the model on this machine is run by."""
    if service.settings.cluster:
        load = service.scheduler.load()
        return "cluster", f"{service.settings.cluster}; room for {load.max_active} requests at once"
    plan = ", ".join(f"{part}: {name}" for part, name in service.backends.items())
    return "plan", plan or "none; make one: cosyrt tune"
