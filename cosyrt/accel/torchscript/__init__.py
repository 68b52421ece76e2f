"""TorchScript archives of encoders, under upstream's names: written by `cosyrt export`, or by upstream.

A folder's archives come in, networks whose encoders run them go out. Read `archive.py` first, then
`stages.py`, which lists what is exported; each family has a file with its scripted encoders and their places.
"""
