"""Programs that import `cosyvoice` run on this package, unmodified, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cosyrt.audio import Audio

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
sys.path.append("third_party/Matcha-TTS")
from cosyvoice.cli.cosyvoice import AutoModel, CosyVoice, CosyVoice2, CosyVoice3
from cosyvoice.utils.common import set_all_random_seed
from cosyvoice.utils.file_utils import load_wav, logging
from CosyVoice.cosyvoice.cli.cosyvoice import CosyVoice2 as again
import soundfile

def main(folder, clip, out):
    assert again is CosyVoice2 and __name__ == "__main__" and sys.argv[0].endswith("program.py")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    cosyvoice = AutoModel(model_dir=folder)
    prompt = load_wav(clip, 16000)
    set_all_random_seed(3)
    (result,) = cosyvoice.inference_zero_shot("Hi.", "My words.", prompt, stream=False)
    soundfile.write(out, result["tts_speech"][0].numpy(), cosyvoice.sample_rate)
    from helper import name
    print(name, type(cosyvoice).__name__)

main(*sys.argv[1:])
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the alias in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "cosyrt.compat.alias", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("as_module", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_program_runs_unmodified(spelling_folder: Path, clip: str, tmp_path: Path, as_module: bool) -> None:
    """The imports of a program are ours, whatever lies beside it; arguments and its own modules are found."""
    (tmp_path / "program.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("name = 'helped'")
    (tmp_path / "cosyvoice").mkdir()  # a checkout of upstream's
    (tmp_path / "cosyvoice" / "__init__.py").write_text("raise ImportError('upstream')")
    program = ["-m", "program"] if as_module else ["program.py"]
    done = run(tmp_path, *program, str(spelling_folder), clip, "out.wav")

    assert (done.returncode, done.stdout) == (0, "helped CosyVoice2\n"), done.stderr
    assert Audio.read(tmp_path / "out.wav").seconds > 0.1


@pytest.mark.parametrize(
    "arguments",
    [[], pytest.param(["-m"], marks=pytest.mark.slow), pytest.param(["no.py"], marks=pytest.mark.slow)],
)
def test_without_a_program(tmp_path: Path, arguments: list[str]) -> None:
    """One line that says how it is called."""
    done = run(tmp_path, *arguments)

    assert done.returncode == 1 and "usage: python -m cosyrt.compat.alias SCRIPT" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_is_not_there_is_an_import_error(tmp_path: Path) -> None:
    """Modules of upstream's that have no counterpart are not found, as Python says it."""
    (tmp_path / "program.py").write_text("import cosyvoice.flow.flow")
    done = run(tmp_path, "program.py")

    assert "No module named 'cosyvoice.flow'" in done.stderr
