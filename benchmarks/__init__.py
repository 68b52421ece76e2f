"""Benchmarks that need more than a model: another code base, a recogniser, a teacher's audio.

One module with a `main` is one command, `python -m benchmarks.NAME`; each prints a table and writes JSON
(`report.py`). What any user can measure of a model alone is `cosyrt bench`. Read `against_upstream.py` first.
"""
