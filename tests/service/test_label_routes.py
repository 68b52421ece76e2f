"""Labels over HTTP: on everything that is spoken, and found in what is sent."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import UsageError
from cosyrt.formats import FORMATS
from cosyrt.label_check import check_label
from cosyrt.labels import HEADER, LabelSettings, fields_of
from cosyrt.service.settings import Settings
from cosyrt.service.start import labels_of
from tests.service.forms import post
from tests.service.served import Served, serving

TONE = Audio(np.sin(np.arange(4_800, dtype=np.float32) / 20) / 2, 24_000)


def check(served: Served, data: bytes) -> dict[str, object]:
    """What the service finds in a file."""
    answer = post(served, "/v1/audio/label-check", file=data)
    return dict(answer.json) | {"status": answer.status}


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_spoken_is_found_again(served: Served, format: str, stream: bool) -> None:
    """Each format carries in its metadata the label that the header tells, streamed or whole."""
    answer = served.speak(response_format=format, stream=stream)
    label = fields_of(unquote(answer.headers[HEADER.lower()]))
    found = check(served, answer.body)

    assert (found["status"], found["labelled"], found["fields"]) == (200, True, label)


def test_bare_samples_have_it_in_the_header(served: Served) -> None:
    """pcm has no place for a label; its header has."""
    label = fields_of(unquote(served.speak(response_format="pcm").headers[HEADER.lower()]))
    assert label["Label"] == "1" and label["ProduceID"]


def test_the_operator_says_what_labels_say(tiny: Pipeline) -> None:
    """Producer, spelling and audible notice are settings."""
    with serving(tiny, label_producer="某公司", label_names={"ProduceID": "ProduceId"}) as served:
        plain = served.speak(response_format="wav", stream=False)
        fields = check_label(plain.body).fields
        assert fields["ContentProducer"] == "某公司" and fields["ProduceId"] and "ProduceID" not in fields
    with serving(tiny, label_notice=True) as served:
        told = served.speak(response_format="wav", stream=False)
        more = Audio.read(told.body).seconds - Audio.read(plain.body).seconds
        assert more == pytest.approx(1.05, abs=0.01)


def test_a_file_without_a_label(served: Served) -> None:
    """A file of somebody else's is told to have none; what is no audio is refused in one line."""
    found = check(served, TONE.to_bytes("mp3"))
    assert (found["labelled"], found["container"]) == (False, "mp3")
    for data in (b"no audio at all", b"RIFF\0\0\0\0WAVEjunk"):
        refused = check(served, data)
        assert refused["status"] == 400 and "\n" not in str(refused["error"])


@pytest.mark.parametrize("format", [name for name, each in FORMATS.items() if each.has_metadata])
def test_labels_of_any_format_are_found(served: Served, format: str) -> None:
    """The detector reads every format that can be written with a label."""
    label = LabelSettings().label("a1")
    assert check(served, TONE.to_bytes(format, label=label))["fields"] == fields_of(label.text)


def test_complete_files_are_signed_where_that_is_wanted(tiny: Pipeline, tmp_path: Path) -> None:
    """With a certificate, a whole file has content credentials that hold; a streamed one cannot have them."""
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    from tests.certificates import write_signer

    chain, key = map(str, write_signer(tmp_path))
    with serving(tiny, label_certificates=chain, label_key=key) as served:
        assert check(served, served.speak(stream=False).body)["credentials"] == "valid"
        assert check(served, served.speak().body)["credentials"] == ""


def test_a_certificate_without_its_key(tmp_path: Path) -> None:
    """Half of a pair is refused before a model is loaded."""
    for name in ("label_certificates", "label_key"):
        with pytest.raises(UsageError, match="go together"):
            labels_of(Settings(**{name: str(tmp_path)}))
