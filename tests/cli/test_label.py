"""`cosyrt label`, and the label of what the command line makes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cosyrt.audio import Audio
from cosyrt.cli import main
from cosyrt.label_check import check_label


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, arguments, env=variables)


@pytest.mark.usefixtures("tones")
def test_what_is_said_is_labelled(tmp_path: Path) -> None:
    """Files of `say` and `convert`, whole and streamed, in each kind of container, have a label."""
    source = tmp_path / "source.wav"
    Audio(np.full(16_000, 0.1, np.float32), 16_000).write(source)
    for name in ("a.mp3", "a.wav", "a.opus"):
        for command in (["say", "hello"], ["say", "hello", "--stream"], ["convert", str(source)]):
            assert run(*command, "-o", str(tmp_path / name)).exit_code == 0
            assert check_label(tmp_path / name).labelled


@pytest.mark.usefixtures("tones")
@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_standard_output_is_labelled(stream: list[str]) -> None:
    """The WAV on standard output has the label in its header, and the length that it says."""
    result = run("say", "hello", "-o", "-", *stream)
    data = result.stdout_bytes

    assert check_label(data).labelled
    size = struct.unpack("<I", data[4:8])[0]
    assert size in (0xFFFF_FFFF, len(data) - 8)
    assert len(Audio.read(data)) == 5 * 240


@pytest.mark.usefixtures("tones")
def test_the_operator_decides_what_the_label_says(tmp_path: Path) -> None:
    """Producer and notice come from the environment; the notice is heard before the speech."""
    path = tmp_path / "a.wav"
    for stream in ([], ["--stream"]):
        plain = run("say", "hello", "-o", "-", *stream).stdout_bytes
        told = run("say", "hello", "-o", "-", *stream, COSYRT_LABEL_NOTICE="1").stdout_bytes
        assert Audio.read(told).seconds - Audio.read(plain).seconds == pytest.approx(1.05, abs=0.01)
    assert run("say", "hello", "-o", str(path), COSYRT_LABEL_PRODUCER="某公司").exit_code == 0
    assert check_label(path).fields["ContentProducer"] == "某公司"


@pytest.mark.usefixtures("tones")
def test_without_a_label_only_where_that_is_allowed(tmp_path: Path) -> None:
    """`--no-label` needs the operator's word; without it nothing is made."""
    path = tmp_path / "a.mp3"
    refused = run("say", "hello", "-o", str(path), "--no-label")
    assert (refused.exit_code, path.exists()) == (2, False)
    assert "COSYRT_LABEL_OPTIONAL=1" in refused.stderr and refused.stderr.count("\n") == 1

    assert run("say", "hello", "-o", str(path), "--no-label", COSYRT_LABEL_OPTIONAL="1").exit_code == 0
    assert not check_label(path).labelled
    assert run("say", "hello", COSYRT_LABEL_NOTICE="perhaps").exit_code == 2


@pytest.mark.usefixtures("tones")
def test_check_tells_what_a_file_says(tmp_path: Path) -> None:
    """The label is shown field by field, or as JSON; a file without one is told from a labelled one."""
    labelled, plain = str(tmp_path / "a.mp3"), str(tmp_path / "b.mp3")
    run("say", "hello", "-o", labelled, COSYRT_LABEL_PRODUCER="ACME")
    run("say", "hello", "-o", plain, "--no-label", COSYRT_LABEL_OPTIONAL="1")

    shown = run("label", "check", labelled).stdout
    assert "labelled as synthetic (mp3)" in shown and "ContentProducer: ACME" in shown
    assert run("label", "check", plain).stdout == f"{plain}: no label (mp3)\n"
    found = json.loads(run("label", "check", labelled, "--json").stdout)
    assert found["labelled"] and found["fields"]["ContentProducer"] == "ACME"
    assert run("label", "check", str(tmp_path / "missing.mp3")).exit_code == 5


@pytest.mark.usefixtures("tones")
def test_files_are_signed_where_that_is_wanted(tmp_path: Path) -> None:
    """With a certificate and its key the file has content credentials, which the check tells."""
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    from tests.certificates import write_signer

    chain, key = map(str, write_signer(tmp_path))
    path = str(tmp_path / "a.mp3")
    assert run("say", "hello", "-o", path, COSYRT_LABEL_CERTIFICATES=chain).exit_code == 2
    signed = {"COSYRT_LABEL_CERTIFICATES": chain, "COSYRT_LABEL_KEY": key}
    assert run("say", "hello", "-o", path, **signed).exit_code == 0
    assert "signed (C2PA): valid" in run("label", "check", path).stdout
