"""The tables of the training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recipes.builtin_voice import corpus as data
from tests.recipes import tiny_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> data.Corpus:
    return tiny_corpus.write(tmp_path)


def test_held_out_is_every_hundredth(corpus: data.Corpus) -> None:
    """Utterance 0 is held out, the others are learnt from."""
    assert [item.id for item in corpus.held_out] == [0]
    assert [item.id for item in corpus.train] == [1, 2, 3, 4, 5]


def test_an_utterance_still_being_written_is_left_out(corpus: data.Corpus) -> None:
    """Neither half a line nor audio that the file does not hold yet is read."""
    path = corpus.work / data.AUDIO.file
    path.write_bytes(path.read_bytes()[:-2])
    with (corpus.work / "utterances.jsonl").open("a") as index:
        index.write('{"id": 6, "la')
    assert len(data.Corpus(corpus.work).utterances) == 5


def test_crop_rows_lie_where_the_utterance_lies(corpus: data.Corpus) -> None:
    """A crop of the mel is the same stretch of the flat table."""
    flat = np.fromfile(corpus.work / data.MEL.file, "<f2").reshape(-1, 80)
    crop = data.Crop(corpus.utterances[2], 3, 5)
    first = 2 * (12 + 14 + 3)
    np.testing.assert_array_equal(corpus.rows(data.MEL, crop), flat[first : first + 10])


def test_labels_change_where_the_phone_ends(corpus: data.Corpus) -> None:
    """Each mel frame is labelled by the phone in its middle."""
    labels = corpus.utterances[0].labels({"en:a": 0, "en:b": 1}, 10, 4)
    assert labels.tolist() == [0, 0, 1, 1]


def test_derive_appends_only_what_is_missing(corpus: data.Corpus) -> None:
    """A second pass adds nothing; a table cut inside an utterance is completed to the same bytes."""

    assert data.derive(corpus, data.F0, _sums, 1) == 6
    path = corpus.work / data.F0.file
    whole = path.read_bytes()
    assert data.derive(corpus, data.F0, _sums, 1) == 0
    path.write_bytes(whole[:-3])
    assert data.derive(corpus, data.F0, _sums, 1) == 1
    assert path.read_bytes() == whole


def _sums(samples: np.ndarray) -> np.ndarray:
    return np.abs(samples).reshape(-1, 480).sum(1)


def test_crops_stay_inside_and_reach_both_ends(corpus: data.Corpus) -> None:
    """No crop leaves its utterance, and first and last tokens are drawn."""
    crops = data.Crops(corpus.train, 6).draw(np.random.default_rng(1), 200)
    assert all(0 <= crop.start <= crop.utterance.tokens - crop.tokens for crop in crops)
    assert any(crop.start == 0 for crop in crops)
    assert any(crop.start + crop.tokens == crop.utterance.tokens for crop in crops)


def test_buckets_deal_every_utterance_once_an_epoch() -> None:
    """An epoch is a partition, within the budget, and the same for the same seed."""
    lengths = [5, 9, 30, 31, 7, 8, 12, 33]
    buckets = data.Buckets(lengths, budget=40, seed=3)
    batches: list[list[int]] = []
    while sum(map(len, batches)) < len(lengths):
        batches.append(buckets.batch(len(batches)))
    assert sorted(index for batch in batches for index in batch) == list(range(8))
    assert all(max(lengths[i] for i in batch) * len(batch) <= 40 for batch in batches)
    assert data.Buckets(lengths, budget=40, seed=3).batch(11) == buckets.batch(11)
