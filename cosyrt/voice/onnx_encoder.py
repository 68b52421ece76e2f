"""Runs the ONNX encoders of a model folder: speech tokenizer and speaker encoder, files of a stranger.

The graph of a file is checked before it is opened (`checkpoint/onnx_graph.py`), what it gives is checked
after. How long its operators compute cannot be told from the graph: see `first_run.py`.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.checkpoint.onnx_graph import check_graph
from cosyrt.errors import WeightsError, one_line
from cosyrt.startup import runtime

MAX_OUTPUT = 10_000  # numbers: thirty seconds are 1500 speech tokens


def run(path: Path, *inputs: NDArray[Any]) -> NDArray[Any]:
    """Run an ONNX model on inputs by position and take its first output.

    Raises:
        WeightsError: it cannot be opened or run, or gives no numbers of an encoder's size.
    """
    session = _session(str(path), path.stat().st_mtime_ns, os.getpid())
    names = [argument.name for argument in session.get_inputs()]
    try:
        outputs = session.run(None, dict(zip(names, inputs, strict=True)))
    except Exception as error:  # onnxruntime's exceptions have no common class
        raise WeightsError(f"{path} cannot be run: {one_line(error, 200)}; download it again") from error
    output = outputs[0] if outputs else None
    if not isinstance(output, np.ndarray) or output.dtype.kind not in "iuf" or output.size > MAX_OUTPUT:
        raise WeightsError(f"{path} gives no numbers of the size that an encoder gives; download it again")
    if not np.isfinite(output).all():
        raise WeightsError(f"{path} gives numbers that are not finite; download it again")
    return output


@lru_cache(maxsize=8)
def _session(path: str, changed_ns: int, process: int) -> Any:
    """Open a session once for each version of a file: for a speech tokenizer it takes seconds and 500 MB.

    A process that was forked opens its own: it has not the threads of another's, and cannot close that.
    """
    check_graph(Path(path))
    onnxruntime = runtime("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as in cosyrt.startup
    options.log_severity_level = 4  # errors come as exceptions, not on the terminal
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise WeightsError(f"{path} cannot be opened: {one_line(error, 200)}; download it again") from error
