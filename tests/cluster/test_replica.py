"""A replica speaks for other machines, and refuses to speak for one that has another model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from cosyrt.cluster.replica import End, Identity, Part, Replica, ReplicaConfig
from cosyrt.engine.request import Request
from cosyrt.errors import ModelError, TextError
from tests.service.served import wait_until


def test_parts_and_an_end(replicas: tuple[Replica, Replica]) -> None:
    """Every request ends with one `End`, and all pieces of its text have been told by then."""

    async def spoken() -> list[Part | End]:
        return [part async for part in replicas[0].speak(Request(text="One. Two.", streamed=True))]

    *parts, end = asyncio.run(spoken())
    assert isinstance(end, End) and end.error is None
    assert parts and all(isinstance(part, Part) for part in parts)
    assert "".join(piece.text for part in [*parts, end] for piece in part.pieces).split() == ["One.", "Two."]


def test_a_request_that_cannot_be_spoken_ends_with_why(replicas: tuple[Replica, Replica]) -> None:
    """The error is a value, so that its class comes through whatever carries it."""

    async def spoken() -> list[Part | End]:
        return [part async for part in replicas[0].speak(Request(text="  "))]

    (end,) = asyncio.run(spoken())
    assert isinstance(end, End) and isinstance(end.error, TextError)


def test_leaving_cancels(replicas: tuple[Replica, Replica]) -> None:
    """Whoever closes the generator stops the work."""

    async def leave() -> None:
        async with aclosing(replicas[0].speak(Request(text="Long. " * 50, streamed=True))) as parts:
            await anext(parts)

    before = replicas[0].scheduler.load().cancelled
    asyncio.run(leave())
    wait_until(lambda: replicas[0].scheduler.load().active == 0)
    assert replicas[0].scheduler.load().cancelled == before + 1


def test_another_version_is_refused(config: ReplicaConfig) -> None:
    """Two versions would not agree on what is sent."""
    asker = replace_version(Identity.of(config))
    with pytest.raises(ModelError, match="the same version everywhere"):
        Replica(config, asker)


def test_another_model_is_refused(config: ReplicaConfig) -> None:
    """The built-in voice does not speak for the tiny model."""
    with pytest.raises(ModelError, match="the same files"):
        Replica(replace(config, model=None), Identity.of(config))


def test_a_folder_that_is_not_there(tmp_path: Path, config: ReplicaConfig) -> None:
    """The error is that of the folder."""
    with pytest.raises(ModelError):
        Replica(replace(config, model=str(tmp_path / "none")), Identity.of(config))


def replace_version(identity: Identity) -> Identity:
    return identity._replace(version="0.0.0")
