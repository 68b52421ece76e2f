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


def read_pickled(path: Path) -> dict[str, Any]:
    """The top-level entries of a `.pt` file in torch's zip format, mapped from disk; tables are plain dicts.

    Raises:
        WeightsError: the file is damaged, asks for what no table of tensors needs, or is no table of names.
    """
    try:
        records = Records.of(path)
        saved = _Machine(records).run(records.program(MAX_PROGRAM_BYTES))
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


@dataclass(slots=True)
class _Machine:
    """Runs one program on a stack of its own."""

    records: Records
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
            case "PROTO" | "STOP":
                return lambda: None
        raise _Refused(f"uses the pickle operation {name}")

    def _name(self, name: str) -> None:
        if name not in GLOBALS:
            raise _Refused(f"asks for {name.replace(' ', '.')[:80]!a}")
        self.stack.append(_Global(name))

    def _above(self, height: int) -> list[Any]:
        """Take off the stack what lies above a height."""
        taken = self.stack[height:]
        del self.stack[height:]
        return taken

    def _make_tuple(self, height: int) -> None:
        """Make a tuple of arguments or of sizes; anything deeper is in no file and costs a stack."""
        made = tuple(self._above(height))
        if any(isinstance(each, list) or (isinstance(each, tuple) and not _flat(each)) for each in made):
            raise _Refused("nests lists and tuples")
        self.stack.append(made)

    def _extend(self, height: int) -> None:
        added = self._above(height)
        if not isinstance(self.stack[-1], list) or any(isinstance(each, (list, tuple)) for each in added):
            raise _Refused("nests lists and tuples")
        self.stack[-1].extend(added)

    def _fill(self, height: int) -> None:
        items = self._above(height)
        table, keys = self.stack[-1], items[::2]
        if not isinstance(table, dict) or not all(isinstance(key, str) for key in keys):
            raise _Refused("has a key that is not text")
        if any(len(key) > MAX_KEY_CHARACTERS for key in keys):
            raise _Refused(f"has a key of more than {MAX_KEY_CHARACTERS} characters")
        table.update(zip(keys, items[1::2], strict=True))

    def _forget_attributes(self) -> None:
        """Drop what is to become attributes of a table: the versions of its modules, or hidden methods."""
        attributes = self.stack.pop()
        if not isinstance(attributes, dict) or not isinstance(self.stack[-1], dict):
            raise _Refused("gives attributes to something")

    def _find_storage(self) -> None:
        """Find numbers in the file by ('storage', type, key, device, count)."""
        kind, storage_type, key, _, _ = self.stack.pop()
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
        arguments, called = self.stack.pop(), self.stack.pop()
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
