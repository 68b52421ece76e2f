"""Labels found in files, of ours and of others."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.errors import AudioError
from cosyrt.formats import FORMATS
from cosyrt.label_check import Finding, check_label
from cosyrt.labels import COMMENT, LabelSettings, fields_of

SPEECH = Audio(np.sin(np.arange(4_800, dtype=np.float32) / 20) / 2, 24_000)
LABEL = LabelSettings(producer="某公司").label("request-1")


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if format.has_metadata])
def test_every_format_tells_its_label(name: str, tmp_path: Path) -> None:
    """A labelled file is found by its fields, one without a label is not, and neither needs its name."""
    labelled, plain = tmp_path / "a", tmp_path / "b"
    SPEECH.write(labelled, name, label=LABEL)
    SPEECH.write(plain, name)

    finding = check_label(labelled)
    assert (finding.labelled, finding.fields, finding.comment) == (True, fields_of(LABEL.text), COMMENT)
    assert not check_label(plain).labelled
    assert check_label(labelled.read_bytes()) == finding


def test_a_label_that_another_program_wrote() -> None:
    """The key may be in small letters, the value plain words, the fields spelt otherwise."""
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        container.metadata["aigc"] = "made by a machine"
        stream = container.add_stream("libopus", rate=24_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(SPEECH.samples[None], format="fltp", layout="mono")
        frame.sample_rate = 24_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    assert check_label(out.getvalue()) == Finding(
        labelled=True, container="ogg", fields={"text": "made by a machine"}
    )


def test_what_has_no_place_for_a_label(tmp_path: Path) -> None:
    """Bare samples, text and nothing are one line of error."""
    for data in (SPEECH.to_bytes("pcm", label=LABEL), b"words", b""):
        with pytest.raises(AudioError, match=r"cannot read the audio .* \(pcm\) have no place for a label"):
            check_label(data)
    with pytest.raises(AudioError, match="No such file"):
        check_label(tmp_path / "missing.mp3")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["wav", "mp3", "flac", "m4a"]), st.integers(0, 400))
def test_a_damaged_file_is_a_finding_or_one_line(junk: bytes, name: str, at: int) -> None:
    """Any bytes over any part of a labelled file give a finding or one line of error."""
    data = bytearray(SPEECH.to_bytes(name, label=LABEL))
    data[at : at + len(junk)] = junk
    try:
        assert check_label(bytes(data)).container
    except AudioError as error:
        assert "\n" not in str(error)
