"""Reads the table of tensors in a `.pt` file, which can neither run code nor ask for memory.

A `.pt` file is a pickled program beside the numbers of its tensors. Even torch's weights-only reader lets
such a program ask for any amount of memory, nest until the process dies, and hide methods of a table. So the
program is not given to torch: this module runs it. It knows text, numbers, tables, and tensors that are views
of what the file stores, and refuses every other operation.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosyrt.checkpoint.records import Records
from cosyrt.errors import WeightsError, reason_of

if TYPE_CHECKING:
    import torch

MAX_TENSOR_BYTES = 20_000_000_000
MAX_PROGRAM_BYTES = 10_000_000  # some hundred bytes a tensor, of which official checkpoints have a thousand
MAX_OPERATIONS, MAX_TENSORS = 500_000, 100_000  # about thirty-five operations a tensor
MAX_DIMENSIONS = 8  # a two-dimensional convolution has four
MAX_KEY_CHARACTERS = 500

TABLE = "collections OrderedDict"
TENSOR, TENSOR_OF_TYPE, PARAMETER = (
    f"torch._utils _rebuild_{what}" for what in ("tensor_v2", "tensor_v3", "parameter")
)
RAW_STORAGE = "torch.storage UntypedStorage"
# How a program names a type of numbers → torch's own name of it.
STORAGES = {
    "torch DoubleStorage": "float64",
    "torch FloatStorage": "float32",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "int64",
    "torch IntStorage": "int32",
    "torch ShortStorage": "int16",
    "torch CharStorage": "int8",
    "torch ByteStorage": "uint8",
    "torch BoolStorage": "bool",
    RAW_STORAGE: "uint8",
}
NEW_TYPES = {"torch float8_e4m3fn": "float8_e4m3fn", "torch float8_e5m2": "float8_e5m2"}
GLOBALS = {TABLE, TENSOR, TENSOR_OF_TYPE, PARAMETER, *STORAGES, *NEW_TYPES}

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # how torch's format before 1.6 begins
PUT, GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TOLD = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}  # push what stands beside them
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, slots=True)
class _Global:
    """A name of the program's, which is compared and never looked up."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """Numbers in the file."""

    bytes: torch.UntypedStorage
    number_type: str


class _Refused(Exception):
    """The program does what no saved table of tensors does."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in a table for a value that was not made, because a program of tensors has no need of it."""

    why: str  # goes on after the name of what holds it


def read_pickled(path: Path, *, lenient: bool = False) -> dict[str, Any]:
    """The top-level entries of a `.pt` file in torch's zip format, mapped from disk; tables are plain dicts.

    With `lenient`, `Unreadable` stands for a value that is no text, number, table or tensor, and the rest is
    read: one odd entry does not take the others with it.

    Raises:
        WeightsError: the file is damaged, asks for what no table of tensors needs, or is no table of names.
    """
    _check_format(path)
    try:
        records = Records.of(path)
        saved = _Machine(records, lenient).run(records.program(MAX_PROGRAM_BYTES))
    except WeightsError:
        raise
    except _Refused as problem:
        raise WeightsError(
            f"{path} {problem}, which no table of plain tensors does; is it a state_dict, and unchanged?"
        ) from problem
    except Exception as error:  # a damaged archive or program can end in nearly any exception
        raise WeightsError(
            f"{path} is not a whole file of plain tensors: {reason_of(error)}; download it again"
        ) from error
    if not isinstance(saved, dict):
        raise WeightsError(
            f"{path} holds a {type(saved).__name__}, not a table of names; is it a state_dict?"
        )
    return saved


def _check_format(path: Path) -> None:
    """Refuse an empty file, and one of the format that torch wrote before 1.6, with what to do about it."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(LEGACY))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}; check the path") from error
    if not begin:
        raise WeightsError(f"{path} is empty; copy or download it again")
    if begin == LEGACY:
        raise WeightsError(
            f"{path} has the format that torch wrote before version 1.6; save it anew where it is trusted: "
            f"python -c \"import torch; p = {str(path)!r}; torch.save(torch.load(p, map_location='cpu'), p)\""
        )


@dataclass(slots=True)
class _Machine:
    """Runs one program on a stack of its own."""

    records: Records
    lenient: bool = False  # what is refused becomes `Unreadable` where it stands
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)  # heights of the stack
    memo: dict[int, Any] = field(default_factory=dict)
    storages: dict[str, _Storage] = field(default_factory=dict)
    whole: torch.UntypedStorage | None = None  # the file itself, once a tensor is asked for
    tensors: int = 0

    def run(self, program: bytes) -> object:
        """What the program leaves at its end."""
        argument: Any
        for count, (operation, argument, _) in enumerate(pickletools.genops(program)):
            if count >= MAX_OPERATIONS:
                raise _Refused(f"has more than {MAX_OPERATIONS} operations")
            name = operation.name
            if name in TOLD:
                self.stack.append(argument)
            elif name in PUT:
                self.memo[argument] = self.stack[-1]
            elif name in GET:
                self.stack.append(self.memo[argument])
            elif name in TUPLES:
                self._make_tuple(len(self.stack) - TUPLES[name])
            elif name in CONSTANTS:
                self.stack.append(CONSTANTS[name])
            elif name == "GLOBAL":
                self._name(argument)
            else:
                self._operation(name)()
        return self.stack.pop()

    def _operation(self, name: str) -> Callable[[], None]:
        match name:
            case "REDUCE":
                return self._call
            case "MARK":
                return lambda: self.marks.append(len(self.stack))
            case "TUPLE":
                return lambda: self._make_tuple(self.marks.pop())
            case "EMPTY_DICT":
                return lambda: self.stack.append({})
            case "EMPTY_LIST":
                return lambda: self.stack.append([])
            case "SETITEMS":
                return lambda: self._fill(self.marks.pop())
            case "SETITEM":
                return lambda: self._fill(len(self.stack) - 2)
            case "APPENDS":
                return lambda: self._extend(self.marks.pop())
            case "APPEND":
                return lambda: self._extend(len(self.stack) - 1)
            case "BINPERSID":
                return self._find_storage
            case "BUILD":
                return self._forget_attributes
            case "NEWOBJ" if self.lenient:
                return self._call
            case "PROTO" | "STOP":
                return lambda: None
        raise _Refused(f"uses the pickle operation {name}")

    def _refused(self, why: str) -> Unreadable:
        """What stands for a value that is not made.

        Raises:
            _Refused: unless the machine is lenient.
        """
        if not self.lenient:
            raise _Refused(why)
        return Unreadable(why)

    def _name(self, name: str) -> None:
        if name in GLOBALS:
            self.stack.append(_Global(name))
        else:
            self.stack.append(self._refused(f"asks for {name.replace(' ', '.')[:80]!a}"))

    def _above(self, height: int) -> list[Any]:
        """Take off the stack what lies above a height."""
        taken = self.stack[height:]
        del self.stack[height:]
        return taken

    def _make_tuple(self, height: int) -> None:
        """Make a tuple of arguments or of sizes; anything deeper is in no file and costs a stack."""
        made: object = tuple(self._above(height))
        assert isinstance(made, tuple)
        if any(isinstance(each, list) or (isinstance(each, tuple) and not _flat(each)) for each in made):
            made = self._refused("nests lists and tuples")
        self.stack.append(made)

    def _extend(self, height: int) -> None:
        added = self._above(height)
        if isinstance(self.stack[-1], list) and not any(isinstance(each, (list, tuple)) for each in added):
            self.stack[-1].extend(added)
        else:
            self.stack[-1] = self._refused("nests lists and tuples")

    def _fill(self, height: int) -> None:
        items = self._above(height)
        table, keys = self.stack[-1], items[::2]
        if isinstance(table, Unreadable):
            return
        if not isinstance(table, dict):
            raise _Refused("has a key that is not text, or none for a table")
        if any(isinstance(key, str) and len(key) > MAX_KEY_CHARACTERS for key in keys):
            raise _Refused(f"has a key of more than {MAX_KEY_CHARACTERS} characters")
        for key, value in zip(keys, items[1::2], strict=True):
            if isinstance(key, str):
                table[key] = value
            else:
                name = str(key) if isinstance(key, int) else type(key).__name__
                table[name] = self._refused("has a key that is not text")

    def _forget_attributes(self) -> None:
        """Drop what is to become attributes of a table: the versions of its modules, or hidden methods."""
        attributes = self.stack.pop()
        if isinstance(self.stack[-1], Unreadable):
            return
        if not isinstance(attributes, dict) or not isinstance(self.stack[-1], dict):
            raise _Refused("gives attributes to something")

    def _find_storage(self) -> None:
        """Find numbers in the file by ('storage', type, key, device, count)."""
        kind, storage_type, key, _, _ = self.stack.pop()
        if isinstance(storage_type, Unreadable):  # numbers of a kind that no model has
            self.stack.append(storage_type)
            return
        if kind != "storage" or storage_type.name not in STORAGES or not isinstance(key, str):
            raise _Refused("asks for numbers that are stored in another way")
        if key not in self.storages:
            span, number_type = self.records.stored(key), STORAGES[storage_type.name]
            content = self._file()[span.start : span.start + span.size]
            self.storages[key] = _Storage(content, number_type)
        self.stack.append(self.storages[key])

    def _file(self) -> torch.UntypedStorage:
        import torch

        whole = self.whole
        if whole is None:
            path = self.records.path
            mapped: Any = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)
            whole = self.whole = mapped
        return whole

    def _call(self) -> None:
        arguments, called = self._arguments(), self.stack.pop()
        parts = (called, *arguments[:1], *arguments[6:])  # of a tensor: its numbers, and the type of them
        odd = next((each for each in parts if isinstance(each, Unreadable)), None)
        if odd is not None:
            self.stack.append(odd)
            return
        name = called.name if isinstance(called, _Global) else ""
        made: object
        if name == TABLE and arguments == ():
            made = {}
        elif name == PARAMETER and len(arguments) == 3 and _is_tensor(arguments[0]):
            made = arguments[0]
        elif name == TENSOR and len(arguments) == 6:
            made = self._tensor(arguments, arguments[0].number_type)
        elif name == TENSOR_OF_TYPE and len(arguments) == 7 and arguments[6].name in NEW_TYPES:
            made = self._tensor(arguments, NEW_TYPES[arguments[6].name])
        else:
            raise _Refused("calls something with arguments that are not its own")
        self.stack.append(made)

    def _arguments(self) -> tuple[Any, ...]:
        """Take the arguments of a call off the stack; none where they are of a kind that is not made."""
        arguments = self.stack.pop()
        if isinstance(arguments, Unreadable):
            return (arguments,)
        if not isinstance(arguments, tuple):
            raise _Refused("calls something with arguments that are not its own")
        return arguments

    def _tensor(self, arguments: tuple[Any, ...], number_type: str) -> torch.Tensor:
        """View stored numbers as a tensor, after checking that it is not larger than they are."""
        import torch

        storage, offset, size, stride = arguments[:4]
        self.tensors += 1
        if self.tensors > MAX_TENSORS or len(size) > MAX_DIMENSIONS:
            raise _Refused(f"has more than {MAX_TENSORS} tensors, or {MAX_DIMENSIONS} dimensions in one")
        dtype: torch.dtype = getattr(torch, number_type)
        stored = len(storage.bytes) // dtype.itemsize
        if any(number < 0 for number in (offset, *size, *stride)) or _numbers(size) > stored:
            raise _Refused("has a tensor larger than what is stored for it")
        if 0 not in size and offset + sum(_spans(size, stride)) >= stored:
            raise _Refused("has a tensor that ends outside what is stored for it")
        empty = torch.empty(0, dtype=dtype)
        return empty.set_(storage.bytes, offset, size, stride)


def _flat(values: tuple[Any, ...]) -> bool:
    """Whether nothing of a tuple holds something itself."""
    return not any(isinstance(value, (tuple, list, dict)) for value in values)


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _numbers(size: tuple[int, ...]) -> int:
    count = 1
    for length in size:
        count *= length
    return count


def _spans(size: tuple[int, ...], stride: tuple[int, ...]) -> list[int]:
    return [(length - 1) * step for length, step in zip(size, stride, strict=True)]
