"""Text → text tokens.

Written text comes in; out come pieces of a length that a language model speaks well, normalised to words
(`split.iter_pieces`), and their token ids (`tokenizer.tokenizer_of`). Read `normalize.py` first, then
`split.py`.
"""
