"""Fixtures and settings that all tests share."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from cosyrt.startup import keep_quiet, prepare_torch

if TYPE_CHECKING:
    from cosyrt.engine.pipeline import Pipeline
    from cosyrt.lab.export import Exported
    from cosyrt.lab.workload import Workload

keep_quiet()  # a test may import what reports home
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads take longer to share a tiny model than to run it
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
prepare_torch()  # a test machine may have other work; whatever imports torch first, it comes before

settings.register_profile("brief", max_examples=30, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "brief"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plans, voices and terminal of the person who runs the tests have no say in them, and are left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSYRT_PLANS", str(tmp_path_factory.mktemp("plans")))
        patch.setenv("COSYRT_VOICES", str(tmp_path_factory.mktemp("voices")))
        patch.setenv("COLUMNS", "120")  # as without a terminal
        yield


@pytest.fixture(scope="session")
def builtin() -> Pipeline:
    """The built-in voice, loaded on the CPU."""
    import cosyrt

    return cosyrt.load(device="cpu", plan=False)


@pytest.fixture(autouse=True)
def own_log_level() -> Iterator[None]:
    """What a test makes of the library's log level ends with it: -v and -q set it."""
    logger = logging.getLogger("cosyrt")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model folder with random weights; not to be written to."""
    from tests.tiny import write_model

    path = tmp_path_factory.mktemp("model") / "tiny"
    write_model(path)
    return path


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Pipeline:
    """The tiny model, loaded on the CPU."""
    import cosyrt

    return cosyrt.load(tiny_folder, device="cpu")


@pytest.fixture(scope="session")
def tiny1_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model in the CosyVoice 1 layout. Copy it before changing anything."""
    from tests.tiny1 import write_model

    path = tmp_path_factory.mktemp("tiny1") / "tiny"
    write_model(path)
    return path


@pytest.fixture(scope="session")
def tiny1(tiny1_folder: Path) -> Pipeline:
    """The model of `tiny1_folder`, loaded on the CPU."""
    import cosyrt

    return cosyrt.load(tiny1_folder, device="cpu")


@pytest.fixture(scope="session")
def tiny3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model in the CosyVoice 3 layout. Copy it before changing anything."""
    from tests.tiny3 import write_model

    path = tmp_path_factory.mktemp("tiny3") / "tiny"
    write_model(path)
    return path


@pytest.fixture(scope="session")
def tiny3(tiny3_folder: Path) -> Pipeline:
    """The model of `tiny3_folder`, loaded on the CPU."""
    import cosyrt

    return cosyrt.load(tiny3_folder, device="cpu")


@pytest.fixture(scope="session")
def spelling_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose text tokens are like those of the published model, tags included."""
    from tests.tiny import write_model

    path = tmp_path_factory.mktemp("spelling") / "tiny"
    write_model(path, spelling=True)
    return path


@pytest.fixture(scope="session")
def spelling(spelling_folder: Path) -> Pipeline:
    """The model of `spelling_folder`, loaded on the CPU."""
    import cosyrt

    return cosyrt.load(spelling_folder, device="cpu")


@pytest.fixture(scope="session")
def exported(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """Archives of the tiny model by precision, with their manifests; not to be written to."""
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.lab.export import export

    made = export(ModelFolder.open(tiny_folder), out=tmp_path_factory.mktemp("archives"))
    return {each.manifest.precision: each for each in made}


@pytest.fixture(scope="session")
def workload(tiny_folder: Path) -> Workload:
    """Utterances to check and time the tiny model on; `workload.model` is the model."""
    from cosyrt.engine.model import Model
    from cosyrt.lab.workload import Workload

    return Workload(Model.open(tiny_folder, "cpu"))
