"""Reads the table of tensors in a `.pt` file, which can neither run code nor ask for memory.

torch's weights-only reader calls what it takes for harmless, `bytearray(n)` and `torch.FloatTensor(n)` among
it, and shares what the file shares, so that a kilobyte can fill a machine. The pickled program is therefore
read through before it is run: it may name only what a saved state_dict names, call that only with arguments
of its own, and share only names, tensors and tables. What it builds is then no larger than what it says.
"""

from __future__ import annotations

import pickletools
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosyrt.errors import WeightsError, reason_of

MAX_TENSOR_BYTES = 20_000_000_000
MAX_PROGRAM_BYTES = 10_000_000  # some hundred bytes a tensor, of which official checkpoints have a thousand

TABLE = "collections OrderedDict"  # called without arguments, as are all of a tensor's hooks
REBUILDERS = {f"torch._utils _rebuild_{what}" for what in ("tensor_v2", "tensor_v3", "parameter")}
STORAGES = {
    f"torch {kind}Storage" for kind in "BFloat16 Half Float Double Bool Byte Char Short Int Long".split()
}
# The types that have no storage of their own, and what they are stored as.
NEW_TYPES = {"torch.storage UntypedStorage", "torch float8_e4m3fn", "torch float8_e5m2"}
GLOBALS = {TABLE} | REBUILDERS | STORAGES | NEW_TYPES

PUT, GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
MARKED = {"TUPLE", "APPENDS", "SETITEMS"}  # take all that lies above the last mark
PLAIN = {
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"),
    *("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "EMPTY_DICT", "BINPERSID"),
    *("APPEND", "SETITEM", "PROTO", "STOP"),
}
SHAREABLE, SHARED = {"text", "tensor", "table"}, "a table in another place"
CALLS = {f"no arguments of {TABLE}": "table"} | {f"arguments of {name}": "tensor" for name in REBUILDERS}


def read_pickled(path: Path) -> dict[str, Any]:
    """The top-level entries of a `.pt` file in torch's zip format, mapped from disk.

    Raises:
        WeightsError: the file is damaged, asks for what no table of tensors needs, or is no table of names.
    """
    import torch

    try:
        _check_unpacked_size(path)
        _check_program(path, torch._C.PyTorchFileReader(str(path)).get_record("data.pkl"))
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can end in nearly any exception
        raise WeightsError(
            f"{path} is not a whole file of plain tensors: {reason_of(error)}; download it again"
        ) from error
    if not isinstance(saved, dict) or not all(isinstance(key, str) for key in saved):
        raise WeightsError(
            f"{path} holds a {type(saved).__name__}, not a table of names; is it a state_dict?"
        )
    return saved


def _check_unpacked_size(path: Path) -> None:
    """Refuse an archive that unpacks to more than itself: torch stores without compression."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    packed = path.stat().st_size
    if unpacked > min(packed, MAX_TENSOR_BYTES):
        raise WeightsError(
            f"{path} would unpack from {packed} to {unpacked} bytes; checkpoints are stored uncompressed"
        )


def _check_program(path: Path, program: bytes) -> None:
    if len(program) > MAX_PROGRAM_BYTES:
        raise WeightsError(f"{path} has {len(program)} bytes beside its tensors; is it a state_dict?")
    walk = _Walk()
    for operation, argument, _ in pickletools.genops(program):
        if problem := walk.refusal(operation.name, argument):
            raise WeightsError(
                f"{path} {problem}, which no table of plain tensors does; is it a state_dict, and unchanged?"
            )


@dataclass(slots=True)
class _Walk:
    """Follows a pickle program without running it.

    `top` is what the last operation left: a global by its name, text, a tensor, a table, arguments.
    """

    top: str = ""
    marks: list[str] = field(default_factory=list)  # what lay below each open mark
    memo: dict[int, str] = field(default_factory=dict)

    def refusal(self, name: str, argument: Any) -> str:
        """Say what an operation does that it may not; empty if it is allowed."""
        if name in PUT:
            self.memo[argument] = self.top
        elif name == "MARK":
            self.marks.append(self.top)
        elif name in GET:
            return self.taken_again(argument)
        elif name == "GLOBAL":
            return self.named(argument)
        elif name == "REDUCE":
            return self.called()
        elif name == "BUILD":
            return self.given_attributes()
        elif name in MARKED or name in PLAIN:
            self.top = self.left_by(name)
        else:
            return f"uses the pickle operation {name}"
        return ""

    def left_by(self, name: str) -> str:
        """Name what an operation leaves on top.

        A 3-argument call may only build a Parameter, a 0-argument one only a dict.
        """
        below = self.marks.pop() if name in MARKED else ""
        return {
            "BINUNICODE": "text",
            "EMPTY_DICT": "table",
            "TUPLE": f"arguments of {below}",
            "TUPLE3": "arguments of torch._utils _rebuild_parameter",
            "EMPTY_TUPLE": f"no arguments of {self.top}",
        }.get(name, "")

    def named(self, name: str) -> str:
        self.top = name
        return "" if name in GLOBALS else f"asks for {name.replace(' ', '.')[:80]!a}"

    def taken_again(self, number: int) -> str:
        """Refuse a list or tuple in two places: sharing multiplies what is built or compared."""
        known = self.memo.get(number, "")
        self.top = SHARED if known == "table" else known
        return "" if known in GLOBALS or known in SHAREABLE else "holds one list or tuple in two places"

    def given_attributes(self) -> str:
        """Refuse one table of attributes for two tables: it would be copied each time."""
        copied, self.top = self.top, ""
        return "gives one table of attributes to two tables" if copied == SHARED else ""

    def called(self) -> str:
        if self.top not in CALLS:
            return f"calls something with {self.top[:80]!a}"
        self.top = CALLS[self.top]
        return ""
