"""The networks of CosyVoice: pure torch, weights in modules, all state in arguments.

Text tokens become speech tokens (`llm.py`, `transformer_lm.py`), a mel (`flow.py`, `regulated_flow.py`) and
samples (`vocoder.py`, `causal_vocoder.py`). Read `velocity.py` and `solver.py` first, then `flow.py`.
"""
