"""vLLM for the language model of CosyVoice 2 and 3: texts with their prompts go in, speech tokens come out.

Read `engine.py` first: it starts `worker.py` in a process of its own, whose Python may be that of another
environment, and talks to it by `wire.py`. `export.py` writes the weights that vLLM reads into the cache
folder; `plugin.py`, `language_model.py` and `sampling.py` are what vLLM imports there.
"""
