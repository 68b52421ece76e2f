"""Tables and JSON of the benchmarks."""

from __future__ import annotations

import json

from benchmarks.report import machine, table, write_json


def test_a_table_has_a_heading_and_aligned_columns():
    """Columns in the first row's order, numbers shortened, nothing for what is missing."""
    rows = [{"stage": "a", "wer": 0.123456}, {"stage": "longer", "wer": None}]
    assert table(rows) == "stage   wer\na       0.123\nlonger"
    assert table([]) == ""


def test_json_names_the_machine(tmp_path):
    """Figures without their machine mean nothing."""
    write_json(tmp_path / "a.json", figures=[1, 2])
    content = json.loads((tmp_path / "a.json").read_text())
    assert content == {"machine": machine(), "figures": [1, 2]}
    assert content["machine"]["cpu"] and content["machine"]["threads"] >= 1
