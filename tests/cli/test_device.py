"""`cosyrt device`: this machine and described ones, as text and as JSON."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from click.testing import CliRunner

from cosyrt.cli import main

RTX_2050 = str(Path(__file__).parent.parent / "machine" / "machines" / "rtx2050.json")


def test_a_described_machine_is_answered_for() -> None:
    """Hardware, memory against need, and a line of advice with its reason."""
    result = CliRunner().invoke(main, ["device", "--as", RTX_2050], env={"COLUMNS": "200"})

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert any(
        "NVIDIA GeForce RTX 2050, 379 of 4096 MB used, compute capability 8.6" in line for line in lines
    )
    assert any(line.startswith("CosyVoice2-0.5B") and "too large" in line for line in lines)
    assert any(
        line.startswith("TorchScript (JIT)") and "leave" in line and "estimated" in line for line in lines
    )


def test_json_can_be_fed_back(tmp_path: Path) -> None:
    """What --json prints of this machine is a description that gives the same advice."""
    printed = CliRunner().invoke(main, ["device", "--json"]).stdout
    (tmp_path / "this.json").write_text(printed)
    again = CliRunner().invoke(main, ["device", "--json", "--as", str(tmp_path / "this.json")]).stdout

    first, second = json.loads(printed), json.loads(again)
    assert first["machine"] == second["machine"]
    assert [each["option"] for each in first["advice"]] == [each["option"] for each in second["advice"]]
    assert {held["model"] for held in first["memory"]} == {"CosyVoice2-0.5B", "Fun-CosyVoice3-0.5B"}


def test_a_wrong_description_is_a_usage_error(tmp_path: Path) -> None:
    """One line, exit code 2."""
    (tmp_path / "x.json").write_text('{"gpu": 1}')
    result = CliRunner().invoke(main, ["device", "--as", str(tmp_path / "x.json")])

    assert result.exit_code == 2
    assert result.stderr.startswith("cosyrt: ") and result.stderr.count("\n") == 1
    result = CliRunner().invoke(main, ["device", "--as", str(tmp_path / "none.json")])

    assert result.exit_code == 2
    assert "No such file or directory; give a file that `cosyrt device --json` has printed" in result.stderr


def test_nothing_is_claimed_that_cosyrt_cannot_do(tmp_path: Path) -> None:
    """A large card gets no promise of a batcher; a machine without a card hears of vLLM's CPU builds."""
    card = {"name": "RTX 4090", "memory_mb": 24_564, "capability": "8.9"}
    (tmp_path / "card.json").write_text(json.dumps({"system": "Linux x86_64", "gpus": [card]}))
    (tmp_path / "cpu.json").write_text(json.dumps({"system": "Linux x86_64"}))
    large, plain = (
        CliRunner().invoke(main, ["device", "--as", str(tmp_path / name)], env={"COLUMNS": "200"}).stdout
        for name in ("card.json", "cpu.json")
    )
    (of_card,), (of_cpu,) = (
        [line for line in text.splitlines() if line.startswith("vLLM")] for text in (large, plain)
    )

    assert "batcher" not in large
    assert "leave" in of_card and "never measured on a card" in of_card
    assert "leave" in of_cpu and "builds for CPUs" in of_cpu


def test_a_model_folder_is_told_of_with_the_weights_that_speak(tmp_path: Path) -> None:
    """The family, the file of the language model that --weights chooses, and what else there is to choose."""
    (tmp_path / "cosyvoice3.yaml").write_text("llm: !new:cosyvoice.llm.llm.CosyVoice3LM\n")
    for name in ("llm.pt", "llm.rl.pt", "llm.text_encoder.fp32.zip"):
        (tmp_path / name).touch()
    run = partial(CliRunner().invoke, main, env={"COLUMNS": "200"})
    plain = run(["device", "--model", str(tmp_path)]).stdout.splitlines()
    chosen = run(["device", "--model", str(tmp_path), "--weights", "rl"]).stdout.splitlines()
    data = json.loads(run(["device", "--json", "--model", str(tmp_path), "--weights", "rl"]).stdout)

    assert f"model         {tmp_path} (cosyvoice3)" in plain
    assert "weights       llm.pt; there is also --weights rl" in plain
    assert "weights       llm.rl.pt" in chosen
    assert data["model"]["language_model"] == "llm.rl.pt" and data["model"]["other_weights"] == []


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    """A name without a folder is a wrong use; weights that a folder lacks are named with those it has."""
    (tmp_path / "cosyvoice3.yaml").write_text("llm: !new:cosyvoice.llm.llm.CosyVoice3LM\n")
    for name in ("llm.pt", "llm.sft.safetensors"):
        (tmp_path / name).touch()
    alone = CliRunner().invoke(main, ["device", "--weights", "rl"])
    absent = CliRunner().invoke(main, ["device", "--model", str(tmp_path), "--weights", "rl"])

    assert alone.exit_code == 2 and "give it with --model" in alone.stderr
    assert absent.exit_code == 3 and "has no weights 'rl' (llm.rl.pt); give sft, or" in absent.stderr
