"""Sentences from rules: a rule is a list of templates, `{name}` in one stands for any of rule `name`."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

_SLOT = re.compile(r"\{(\w+)\}")

Rules = Mapping[str, list[str]]


def rules(source: str) -> dict[str, list[str]]:
    """Read rules, one `name: template / template / …` each; a line that starts with a space goes on."""
    joined = source.strip().replace("\n ", " ")
    pairs = (line.split(":", 1) for line in joined.splitlines() if line)
    return {name: [template.strip() for template in templates.split("/")] for name, templates in pairs}


def expand(source: Rules, start: str, choose: random.Random) -> str:
    """One random text of rule `start`.

    Raises:
        KeyError: a template names a rule that does not exist.
    """
    return _SLOT.sub(lambda slot: expand(source, slot[1], choose), choose.choice(source[start]))
