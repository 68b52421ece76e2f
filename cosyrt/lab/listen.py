"""Pairs of recordings to be told apart by ear: the model's own solver and another one, in random order.

Both of a pair say the same speech tokens, so that the solver alone makes the difference. A page plays them
without saying which is which; `key.json` and the page's last button tell.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple

from cosyrt.accel.load import planned, solved_by
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import UsageError
from cosyrt.files import replace_file
from cosyrt.lab.texts import TEXTS
from cosyrt.models.solver import Solver

LENGTHS = ("short", "medium")
SEED = 0

Which = Literal["shipped", "approximate"]


class Pair(NamedTuple):
    """Two recordings of one text."""

    text: str
    a: Which
    b: Which


def check_pairs_folder(folder: Path) -> None:
    """Make the folder for pairs, before minutes are spent on what goes into it.

    Raises:
        UsageError: it cannot be made, or has something in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}; give another folder") from error
    if full:
        raise UsageError(f"{folder} is not empty; give a new folder, so that nothing in it is lost")


def write_pairs(model_folder: str | None, device: str | None, solver: Solver, folder: Path) -> list[Pair]:
    """Speak each text with both solvers and write recordings, key and page.

    Raises:
        UsageError: a file cannot be written.
    """
    shipped = planned(Model.open(model_folder, device))
    flow = replace(shipped.settings.flow, approximation=None)
    shipped = replace(shipped, settings=replace(shipped.settings, flow=flow))
    pipelines: dict[Which, Pipeline] = {
        "shipped": Pipeline(shipped),
        "approximate": Pipeline(solved_by(shipped, solver)),
    }
    order, pairs = random.SystemRandom(), list[Pair]()
    for number, text in enumerate((text for text in TEXTS if text.length in LENGTHS), 1):
        first: Which = order.choice(("shipped", "approximate"))
        pair = Pair(text.words, first, "approximate" if first == "shipped" else "shipped")
        for letter, which in (("a", pair.a), ("b", pair.b)):
            pipelines[which].say(text.words, seed=SEED).write(folder / f"{number:02d}-{letter}.wav")
        pairs.append(pair)
    key = json.dumps([pair._asdict() for pair in pairs], ensure_ascii=False, indent=1)
    try:
        replace_file(folder / "key.json", key.encode())
        replace_file(folder / "index.html", page(pairs).encode())
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}") from error
    return pairs


def page(pairs: list[Pair]) -> str:
    """The page that plays the pairs, takes an answer for each, and tells at the end which was which."""
    rows = "\n".join(_row(number, pair) for number, pair in enumerate(pairs, 1))
    key = json.dumps([pair.a for pair in pairs])
    return PAGE.replace("ROWS", rows).replace("KEY", key)


def _row(number: int, pair: Pair) -> str:
    players = "".join(
        f"<label>{letter.upper()} "
        f"<audio controls preload=none src='{number:02d}-{letter}.wav'></audio></label>"
        for letter in "ab"
    )
    choices = "".join(
        f"<label><input type=radio name=p{number} value={value}> {words}</label>"
        for value, words in (("a", "A is better"), ("b", "B is better"), ("", "no difference"))
    )
    return f"<fieldset><legend>{escape(pair.text)}</legend>{players}<p>{choices}</p></fieldset>"


PAGE = """<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>Which is better?</title>
<style>body{font:16px/1.5 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem}
fieldset{margin:1rem 0;border:1px solid #8886;border-radius:8px}label{margin-right:1rem}
audio{vertical-align:middle;max-width:100%}</style>
<h1>Which is better?</h1><p>Listen to both of each pair, best with headphones, and choose.</p>
ROWS
<button>Tell which was which</button><p role=status></p>
<script>
const first = KEY;
document.querySelector("button").onclick = () => {
  const count = {shipped: 0, approximate: 0, same: 0};
  first.forEach((a, i) => {
    const box = document.querySelector(`input[name=p${i + 1}]:checked`);
    if (!box) return;
    const other = a === "shipped" ? "approximate" : "shipped";
    count[box.value === "a" ? a : box.value === "b" ? other : "same"] += 1;
  });
  document.querySelector("[role=status]").textContent =
    `The model's own steps were better ${count.shipped} times, the approximation ` +
    `${count.approximate} times; no difference ${count.same} times. A was: ${first.join(", ")}.`;
};
</script></html>
"""
