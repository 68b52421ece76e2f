"""Faster ways to run a model while it speaks: backends, plans, and the guard that watches them.

An acceleration takes a `Model` and gives `Stages` that take the place of its own. Read `contract.py` first,
then `load.py`, which is `cosyrt.load`; each file of `backend/` is one way to run some parts of a model.
"""
