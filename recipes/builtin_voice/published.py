"""Fills a work folder from the published voice, so that one stage can be trained anew without the others.

    python -m recipes.builtin_voice.published --work DIR [--model FOLDER]

Written are the speech tokens of the corpus, the flow's weights and the vector of each teacher: what the
stages `tokenizer`, `speaker` and `flow` would leave there.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tables import read_tables
from cosyrt.checkpoint.tensors import read_tensors
from cosyrt.voice.reference import ENCODER_HZ, speech_tokens
from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import flow
from recipes.builtin_voice.export import PRESETS
from recipes.builtin_voice.loop import save_weights

FOLDER = Path(__file__).parents[2] / "cosyrt" / "builtin"


def write_tokens(corpus: data.Corpus, folder: ModelFolder) -> int:
    """Tokenize the utterances that have no tokens yet, and count them."""
    todo = data.missing(corpus, data.TOKENS)
    with (corpus.work / data.TOKENS.file).open("ab") as file:
        for item in todo:
            sound = Audio(corpus.samples(item), 24_000).resample(ENCODER_HZ)
            data.append(file, data.TOKENS, item, np.asarray(speech_tokens(folder, sound.samples)))
    return len(todo)


def write_flow(work: Path, folder: Path) -> None:
    """Write the flow's weights in the form that its training leaves."""
    save_weights(work / "flow.safetensors", read_tensors(folder / "flow.safetensors"), asdict(flow.CONFIG))


def write_voices(work: Path, folder: Path) -> None:
    """Write the vector of each teacher, from the voice that was made of it."""
    tables = read_tables(folder / "spk2info.safetensors").read
    vectors = {teacher: tables[name]["embedding"][0] for teacher, (name, _) in PRESETS.items()}
    save_weights(work / "voices.safetensors", vectors, {})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--model", type=Path, default=FOLDER, help="default: the built-in voice")
    options = parser.parse_args()
    write_flow(options.work, options.model)
    write_voices(options.work, options.model)
    count = write_tokens(data.Corpus(options.work), ModelFolder.open(options.model))
    print(f"{count} utterances tokenized")


if __name__ == "__main__":
    main()
