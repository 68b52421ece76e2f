"""A frontend reads texts and recordings without weights, as the pipeline of the same model does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cosyrt.engine.frontend import Frontend
from cosyrt.engine.model import DescribedModel
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request, SpeakingStyle
from cosyrt.errors import ModelError, TextError, UsageError

TEXT = "One sentence, read aloud. Then the next one, which is a little longer."


@pytest.fixture(scope="module")
def frontend(tiny_folder: Path) -> Frontend:
    """The frontend of the tiny model."""
    return Frontend(DescribedModel.read(tiny_folder))


def test_it_reads_as_the_pipeline_does(frontend: Frontend, tiny: Pipeline) -> None:
    """Pieces, voices, rate and family are the same."""
    request = Request(text=TEXT)

    assert frontend.read(request) == tiny.read(request)
    assert {name: voice.digest for name, voice in frontend.voices.items()} == {
        name: voice.digest for name, voice in tiny.voices.items()
    }
    assert (frontend.sample_rate, frontend.family) == (tiny.sample_rate, tiny.family)
    assert frontend.open(request).voice.digest == tiny.open(request).voice.digest


def test_it_refuses_what_the_pipeline_refuses(frontend: Frontend, tiny: Pipeline) -> None:
    """Errors are found before any network runs."""
    for request, kind in (
        (Request(text=" "), TextError),
        (Request(text=TEXT, style=SpeakingStyle(instruction="Softly.")), UsageError),
    ):
        for each in (frontend, tiny):
            with pytest.raises(kind):
                each.check(request)


def test_no_weights_are_read(tiny_folder: Path, tmp_path: Path) -> None:
    """A folder whose weights are damaged has a frontend, and no pipeline."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    description = DescribedModel.read(folder)
    for part in ("llm", "flow", "hift"):
        description.folder.weights(part).write_bytes(b"nothing")

    assert Frontend(DescribedModel.read(folder)).read(Request(text=TEXT))
    with pytest.raises(ModelError):
        from cosyrt.accel.load import load

        load(folder, device="cpu", plan=False)
