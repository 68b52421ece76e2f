"""Runs a program with `cosyvoice` standing for this package: `python -m cosyrt.compat.alias SCRIPT …`.

Whatever the program imports from `cosyvoice.cli.cosyvoice`, `cosyvoice.utils.file_utils` and
`cosyvoice.utils.common` is ours then, and a checkout of upstream's code beside it is not looked at. A module
is run with `-m MODULE …`. A program of one's own calls `install()` before its imports.
"""

from __future__ import annotations

import logging
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from cosyrt import compat
from cosyrt.errors import UsageError

USAGE = "usage: python -m cosyrt.compat.alias SCRIPT [ARGUMENT …], or -m MODULE [ARGUMENT …]"
PACKAGE, CHECKOUT = "cosyvoice", "CosyVoice"  # a program may import the package from inside of a checkout
CLASSES = ("AutoModel", "CosyVoice", "CosyVoice2", "CosyVoice3")
MODULES: dict[str, dict[str, object]] = {
    "cli.cosyvoice": {name: getattr(compat, name) for name in CLASSES},
    "cli.frontend": {"CosyVoiceFrontEnd": compat.Frontend},
    "cli.model": dict.fromkeys(("CosyVoiceModel", "CosyVoice2Model", "CosyVoice3Model"), compat.SpeechModel),
    "utils.file_utils": {"load_wav": compat.load_wav, "logging": logging},
    "utils.common": {"set_all_random_seed": compat.set_all_random_seed},
}


def install() -> None:
    """Let every later `import cosyvoice…` of this process mean this package."""
    for package in (PACKAGE, f"{CHECKOUT}.{PACKAGE}"):
        for name, content in MODULES.items():
            _module(f"{package}.{name}").__dict__.update(content)


def main(arguments: Sequence[str]) -> None:
    """Run a script, or with `-m` a module, as Python would, with the names aliased.

    Raises:
        UsageError: neither is given, or there is no such script.
    """
    is_module = arguments[:1] == ["-m"]
    rest = list(arguments[1:] if is_module else arguments)
    if not rest:
        raise UsageError(USAGE)
    install()
    if is_module:
        sys.argv = rest
        sys.path.insert(0, "")
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    if not Path(rest[0]).is_file():
        raise UsageError(f"there is no script {rest[0]}; {USAGE}")
    sys.argv = rest
    sys.path.insert(0, str(Path(rest[0]).resolve().parent))
    runpy.run_path(rest[0], run_name="__main__")


def _module(name: str) -> ModuleType:
    """The module of that name in `sys.modules`, and the packages that it lies in; new if it is not ours."""
    module = sys.modules.get(name)
    if module is None or module.__doc__ != USAGE:
        module = sys.modules[name] = ModuleType(name, USAGE)
        module.__path__ = []  # a package: its modules are the ones that are here
    package, _, last = name.rpartition(".")
    if package:
        setattr(_module(package), last, module)
    return module


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        sys.exit(str(error))
