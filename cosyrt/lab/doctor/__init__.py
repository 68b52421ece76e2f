"""Why is it slow? A model and its surroundings come in, causes go out, each with the experiment that decided.

`diagnosis.py` lists the causes: read it first. `setup.py` says what is examined. The causes are grouped by
where they lie: `packages.py`, `lengths.py`, `hardware.py`. `executor.py` examines one case of its own for
`cosyrt doctor --torchscript`: the TorchScript archive that made speech slower.
"""
