"""What measures and explains: a loaded model comes in, figures, verdicts and reasons go out; nothing speaks.

`tune.py` puts each backend on trial (`trial.py`): first against the plain model (`parity.py`), then against
the clock (`timing.py`), on the utterances of `workload.py`, in a process of its own (`child.py`). `bench.py`
times whole texts, `advice.py` is the book of what to expect, `export.py` writes TorchScript archives, and
`doctor/` finds out why it is slow. Only `cli` and `benchmarks` import this package. Read `tune.py` first.
"""
