"""What a service survives, measured on a running one: one file a score, as `docs/reliability.md` lists them.

`python -m benchmarks.scorecard` runs them and prints the table. Read `score.py` first, then `lives.py`: where
the services come from that are loaded, lied to, killed and started again.
"""
