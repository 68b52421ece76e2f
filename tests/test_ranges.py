"""A setting of a wrong kind or out of range is refused when it is read, with its name and its value."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from cosyrt.errors import ConfigError
from cosyrt.ranges import MAX_ITEMS, FloatRange, IntRange


def test_what_is_in_range_is_given() -> None:
    """The ends of a range belong to it; where there is no setting, the default counts."""
    assert [IntRange(1, 3).of({"a": value}, "a") for value in (1, 3)] == [1, 3]
    assert [FloatRange(0, 1).of({"a": value}, "a") for value in (0, 0.5, 1)] == [0.0, 0.5, 1.0]
    assert (IntRange(1, 3).of({}, "a", 2), FloatRange(0, 1).of({}, "a", 0.0)) == (2, 0.0)
    assert IntRange(1, 3).each({"a": [1, 2]}, "a") == IntRange(1, 3).each({}, "a", [1, 2]) == (1, 2)
    assert IntRange(1, 3).each_of_each({"a": [[1, 2], [3]]}, "a") == ((1, 2), (3,))


@pytest.mark.parametrize("value", [0, 4, 10**40, -1, 2.0, nan, True, "2", None, [2], {}])
def test_no_whole_number_of_the_range(value: Any) -> None:
    """Neither text nor truth nor a real number is a whole one."""
    with pytest.raises(ConfigError, match=r"^the setting 'a' of the model is .*whole number from 1 to 3$"):
        IntRange(1, 3).of({"a": value}, "a")


@pytest.mark.parametrize("value", [-0.1, 1.1, 10**400, inf, nan, False, "0.5", None, [0.5]])
def test_no_real_number_of_the_range(value: Any) -> None:
    """What is not finite is in no range."""
    with pytest.raises(ConfigError, match=r"^the setting 'a' of the model is .*number from 0 to 1$"):
        FloatRange(0, 1).of({"a": value}, "a")


@pytest.mark.parametrize("value", [2, "12", [], [1] * (MAX_ITEMS + 1), {"0": 1}, [0], [[1]], ["x"]])
def test_no_list_of_such_numbers(value: Any) -> None:
    """A list has a length, and each of its numbers the range."""
    with pytest.raises(ConfigError, match=r"^the setting 'a' of the model is .*; it must be"):
        IntRange(1, 3).each({"a": value}, "a")
    with pytest.raises(ConfigError, match=r"^the setting 'a' of the model is .*; it must be"):
        IntRange(1, 3).each_of_each({"a": [value] if value != [[1]] else [1]}, "a")


def test_a_missing_setting_is_missing() -> None:
    """Without a default it is for the caller to say what lacks it."""
    with pytest.raises(KeyError):
        IntRange(1, 3).of({}, "a")
