"""Settings of a model, each read with the kind and the range that it must have.

A model folder is not trusted: a number of layers without a limit never ends, a text where a number belongs
would be noticed only when the model speaks. The ranges are far around what any model has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosyrt.errors import ConfigError

MAX_ITEMS = 16  # of a list of settings; upstream's have at most four


@dataclass(frozen=True, slots=True)
class IntRange:
    """A range of whole numbers, its ends included."""

    least: int
    most: int

    def of(self, settings: Mapping[str, Any], key: str, default: int | None = None) -> int:
        """The setting of that name, or the default if there is one.

        Raises:
            KeyError: there is neither (a ConfigError, where the settings are of a model description).
            ConfigError: it is of another kind or out of range.
        """
        return self.checked(key, _found(settings, key, default))

    def each(
        self, settings: Mapping[str, Any], key: str, default: list[int] | None = None
    ) -> tuple[int, ...]:
        """The whole numbers of a list.

        Raises:
            KeyError, ConfigError: as in `of`.
        """
        items = _items(key, _found(settings, key, default))
        return tuple(self.checked(key, item) for item in items)

    def each_of_each(self, settings: Mapping[str, Any], key: str) -> tuple[tuple[int, ...], ...]:
        """The whole numbers of a list of lists.

        Raises:
            KeyError, ConfigError: as in `of`.
        """
        lists = _items(key, settings[key])
        return tuple(tuple(self.checked(key, item) for item in _items(key, each)) for each in lists)

    def checked(self, key: str, value: object) -> int:
        """Check a value that may have been calculated from settings.

        Raises:
            ConfigError: it is of another kind or out of range.
        """
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most:
            return value
        raise _refused(key, value, f"a whole number from {self.least} to {self.most}")


@dataclass(frozen=True, slots=True)
class FloatRange:
    """A range of numbers, its ends included; NaN is in none."""

    least: float
    most: float

    def of(self, settings: Mapping[str, Any], key: str, default: float | None = None) -> float:
        """The setting of that name, or the default if there is one.

        Raises:
            KeyError: there is neither (a ConfigError, where the settings are of a model description).
            ConfigError: it is of another kind or out of range.
        """
        value = _found(settings, key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self.least <= value <= self.most:
            return float(value)
        raise _refused(key, value, f"a number from {self.least:g} to {self.most:g}")


SIZE = IntRange(1, 10_000_000)  # of a layer or a vocabulary: the weights must have it too
LAYERS = IntRange(1, 200)
BLOCKS = IntRange(1, 16)  # in each of the layers
KERNEL = IntRange(1, 1_000)
RATE = IntRange(1, 1_000_000)
RATIO = IntRange(1, 100)
STEPS = IntRange(1, 1_000)
LOOKAHEAD = IntRange(0, 1_000)
CHUNK = IntRange(1, 10_000)
LEVEL = FloatRange(0, 100)

# What a request may ask for.
SPEED = FloatRange(0.25, 4.0)
SEED = IntRange(0, 2**64 - 1)


def _found(settings: Mapping[str, Any], key: str, default: object) -> Any:
    return settings[key] if default is None else settings.get(key, default)


def _items(key: str, value: object) -> list[Any]:
    if isinstance(value, list) and 0 < len(value) <= MAX_ITEMS:
        return value
    raise _refused(key, value, f"a list of 1 to {MAX_ITEMS}")


def _refused(key: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(f"the setting {key!r} of the model is {ascii(value)[:60]}; it must be {wanted}")
