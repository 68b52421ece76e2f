"""The database of the service, for commands that work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cosyrt.errors import MissingDependency

if TYPE_CHECKING:
    from cosyrt.service.store import Store

database_option = click.option(
    "--database",
    metavar="URL",
    envvar="COSYRT_SERVE_DATABASE",
    help="The service's database: a file, or postgresql://…  [default: service.db in the user's data folder]",
)


def open_store(database: str | None) -> Store:
    """The store of that URL, else the one that `cosyrt serve` uses when it is told nothing.

    Raises:
        MissingDependency: the packages of the service are not installed.
    """
    try:
        from cosyrt.service.engines import default_url
        from cosyrt.service.store import Store
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"this needs {error.name}, which is not installed; install it: pip install 'cosyrt[serve]'"
        ) from error
    return Store(database or default_url())
