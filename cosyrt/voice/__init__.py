"""Reference audio → a voice.

A recording comes in; out comes a `Voice`: a speaker vector, speech tokens and a mel, which can be saved,
registered under a name, and read from a model's `spk2info`. Read `voice.py` first, then `encoder.py`.
"""
