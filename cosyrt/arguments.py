"""Arguments of the public API, checked for their kind: what cannot be used is a UsageError of one line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cosyrt.errors import AudioError, UsageError, one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
LOUDEST = 1e6  # of a sample: whole numbers of 16 bits pass, what overflows when it is squared does not


def shown(value: object) -> str:
    """A value in a message: one short line."""
    try:
        text = repr(value)
    except Exception:  # of a class of the caller, which may do anything
        text = f"a {type(value).__name__}"
    return one_line(text, 80)


def path_of(value: object, use: str, advice: str = "") -> Path:
    """The path that a str or a path object is; `~` is the home folder.

    Raises:
        UsageError: it is neither; the message says what the path is for.
    """
    try:
        path = value if isinstance(value, str) else os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        path = None
    if not isinstance(path, str):
        raise UsageError(f"{use} a path, a str or pathlib.Path, not {shown(value)}{advice}")
    return expanded(Path(path))


def expanded(path: Path) -> Path:
    """The path with the home folder for a `~` that stands in front of it, if there is such a folder."""
    try:
        return path.expanduser()
    except RuntimeError:  # `~name` of somebody who is not known here: it may be a file of that name
        return path


def check_kind(value: object, kind: Any, what: str, advice: str) -> None:
    """Refuse a value of another kind; the message says what it was given as, and what to give.

    Raises:
        UsageError: it is of another kind.
    """
    if not isinstance(value, kind):
        raise UsageError(f"{what} is {shown(value)}; {advice}")


def checked_items(values: object, kind: type[T], what: str) -> list[T]:
    """The items of an iterable, if each is of that kind.

    Raises:
        UsageError: it is no iterable, or one of its items is of another kind.
    """
    kept: list[T] = []
    for item in values if isinstance(values, Iterable) else [values]:
        if not isinstance(item, kind):
            raise UsageError(f"{what} {shown(item)}; give only {kind.__name__}")
        kept.append(item)
    return kept


def number_of(value: object) -> object:
    """The Python number in an array or a tensor of one number; any other value as it is."""
    if getattr(value, "shape", None) in ((), (1,)) and hasattr(value, "item"):
        return value.item()
    return value


def write_open(file: Any, data: bytes) -> None:
    """Write into a file that is open in binary mode.

    Raises:
        UsageError: it is open as text, for reading only, or closed.
    """
    try:
        file.write(data)
    except (TypeError, ValueError) as error:  # ValueError: it is closed, or open for reading
        raise UsageError(
            f"cannot write into {shown(file)}: {one_line(error, 80)}; open it in binary mode for writing"
        ) from error


def mono_floats(given: Any) -> NDArray[np.float32]:  # [N]
    """Copy one row of samples; a tensor may be on any device, of any kind of floats, and need a gradient.

    Raises:
        AudioError: they are not one row of finite floats. UsageError: they are no numbers.
    """
    import numpy as np  # the command line checks arguments, and its help comes without

    try:
        if hasattr(given, "detach"):
            given = given.detach().cpu()
            given = (given.float() if given.is_floating_point() else given).numpy()
        samples = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise AudioError(
            f"audio is {type(given).__name__} ({one_line(error, 80)}); give mono floats in [-1, 1]"
        ) from error
    if samples.dtype.kind not in "fiub":
        raise UsageError(f"the samples of audio are {shown(given)}; give mono floats in [-1, 1] of shape [N]")
    row = samples[0] if samples.ndim == 2 and len(samples) == 1 else samples
    if row.ndim != 1 or row.dtype.kind != "f":
        raise AudioError(
            f"audio is {samples.dtype} of shape {list(samples.shape)}; "
            "give mono floats in [-1, 1] of shape [N]"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as such
        copy = np.array(row, np.float32, order="C")
    if not np.isfinite(copy).all():
        raise AudioError("audio holds NaN or infinite samples; export it again")
    loudest = max(copy.max(initial=0.0), -copy.min(initial=0.0))
    if loudest > LOUDEST:
        raise AudioError(f"audio holds a sample of {loudest:.3g}, full scale is 1; export it again")
    return copy
