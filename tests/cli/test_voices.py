"""`cosyrt voices list`: a table for people, JSON for programs."""

from __future__ import annotations

import json

from click.testing import CliRunner

from cosyrt.cli import main


def test_the_table_has_one_line_a_voice(tones):
    """Name, language, source and seconds of prompt, in columns."""
    result = CliRunner().invoke(main, ["voices", "list"])
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["name", "language", "source", "prompt_s"],
        ["ann", "en", "built-in", "2.0"],
        ["mei", "zh", "built-in", "2.0"],
    ]


def test_json_names_the_model_folder(tones):
    """A folder's voices come from that folder."""
    result = CliRunner().invoke(main, ["voices", "list", "--json", "--model", "some/folder"])
    voices = json.loads(result.stdout)
    assert tones.loaded == ("some/folder", None)
    assert voices[0] == {"name": "ann", "language": "en", "source": "some/folder", "prompt_s": 2.0}
