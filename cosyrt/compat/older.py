"""Calls as upstream's API was before 2025: names of arguments and their positions, and flags that are gone.

What an older script means is understood; what is harmless is accepted with one warning.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from cosyrt.arguments import shown
from cosyrt.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")

RENAMED = {"prompt_speech_16k": "prompt_wav", "source_speech_16k": "source_wav"}  # old → new
KEPT_VOICE = "zero_shot_spk_id"  # came before `stream` in 2025
SWITCHES = {"stream": False, "text_frontend": True}  # with what None stands for
NO_USE = {
    "load_onnx": "the weights run in torch, or as load_trt and a plan of `cosyrt tune` say",
    "use_flow_cache": "streams are exact and cost the same at any length",
}

log = logging.getLogger(__name__)


def understands_older_calls(call: Callable[P, R]) -> Callable[P, R]:
    """Take the arguments of a method as older versions named and placed them, and check the switches."""
    signature = inspect.signature(call)
    names = list(signature.parameters)

    @wraps(call)
    def understood(*args: Any, **named: Any) -> R:
        named = _renamed(names, named)
        bound = signature.bind(*_placed(names, args), **named)
        _check_switches(bound.arguments)
        return call(*bound.args, **bound.kwargs)

    return cast(Callable[P, R], understood)


def accepts_older_flags(call: Callable[P, R]) -> Callable[P, R]:
    """Let a constructor take flags that upstream had once, or that its forks have."""

    @wraps(call)
    def accepted(self: Any, *args: Any, **named: Any) -> R:
        for flag in NO_USE.keys() & named.keys():
            named.pop(flag)
            warn_once(f"{flag} is of no use here and left out: {NO_USE[flag]}")
        self.device_asked, self.weights_asked = named.pop("device", None), named.pop("weights", "")
        try:
            inspect.signature(call).bind(self, *args, **named)
        except TypeError as error:
            raise UsageError(
                f"{type(self).__name__}: {error}; docs/from_upstream.md lists its flags"
            ) from error
        return call(self, *args, **named)

    return cast(Callable[P, R], accepted)


@lru_cache(maxsize=256)
def warn_once(message: str) -> None:
    """Write a warning, each once a process."""
    log.warning("%s", message)


def _renamed(names: list[str], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments by the names that they have today."""
    renamed = {}
    for name, value in named.items():
        today = RENAMED.get(name, name)
        if today in renamed or (today != name and today not in names):
            raise UsageError(f"{name} is the older name of {today}; give it once, to a call that takes it")
        renamed[today] = value
    return renamed


def _placed(names: list[str], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments in today's places: older calls have `stream` where a kept voice is named now."""
    if KEPT_VOICE not in names or len(args) <= (at := names.index(KEPT_VOICE)):
        return args
    return (*args[:at], "", *args[at:]) if isinstance(args[at], bool | np.bool_) else args


def _check_switches(arguments: dict[str, Any]) -> None:
    """Refuse what cannot be meant; None stands for the default.

    Raises:
        UsageError: another value than True or False for a switch, or a kept voice that is no name.
    """
    for name in SWITCHES.keys() & arguments.keys():
        value = arguments[name] = SWITCHES[name] if arguments[name] is None else arguments[name]
        if not isinstance(value, bool | np.bool_) and not (isinstance(value, int) and value in (0, 1)):
            raise UsageError(f"{name} is {shown(value)}; give True or False (the speed comes after stream)")
    if KEPT_VOICE in arguments:
        arguments[KEPT_VOICE] = "" if arguments[KEPT_VOICE] is None else arguments[KEPT_VOICE]
        if not isinstance(arguments[KEPT_VOICE], str):
            raise UsageError(f"{KEPT_VOICE} is {shown(arguments[KEPT_VOICE])}; give the name of a kept voice")
