"""Text or a recording, and a voice → audio: when each network of a model runs, and on what.

A `Model` (model.py) and a `Request` (request.py) come in, `Audio` goes out. Read `pipeline.py` first, from
top to bottom, then `utterance.py`, where the steps are put together. docs/engine.md has a line for each file.
"""
