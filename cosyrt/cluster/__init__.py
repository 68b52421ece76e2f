"""One service, or one batch, on many machines: requests come in on one, and are spoken by models on others.

    service → RemoteScheduler → link → Replica: model and scheduler, one a device

Read `remote.py` first: it is a scheduler whose models are elsewhere. `replica.py` is what runs there;
neither knows Ray. `deploy.py` joins them by Ray Serve, `pool.py` by actors for a batch.
"""

from cosyrt.startup import prepare_torch

prepare_torch()  # before torch is imported: a process of a cluster begins here
