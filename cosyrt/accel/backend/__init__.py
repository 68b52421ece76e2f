"""Backends: each file is one way to run some parts of a model faster, and ends in `Backend` values.

A `Model` comes in, its `Stages` with one part replaced go out. Read `half_weights.py` first, then
`graphs.py` and `compiled.py`, which all backends that compile graphs share.
"""
