"""Many texts at once: a list comes in, a folder of recordings and a manifest of them go out.

`manifest.py` reads the list, `run.py` speaks it for throughput (read this first), `ledger.py` keeps what is
finished, so that a run which was killed goes on where it stopped.
"""
