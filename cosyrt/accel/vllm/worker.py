"""The process that runs vLLM: `python -m cosyrt.accel.vllm.worker`, started by `engine.py` and ended with it.

Requests come in on its input, tokens go out on its output (wire.py). It runs in the environment where vLLM
is installed, which needs cosyrt in the same version and no model folder.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO

import numpy as np
import torch

import cosyrt
from cosyrt.accel.vllm.names import LEAST, OURS
from cosyrt.accel.vllm.plugin import register
from cosyrt.accel.vllm.wire import Message, messages, send
from cosyrt.errors import kind_and_reason

PROCESSOR = "cosyrt.accel.vllm.sampling:RepetitionAware"
SETTINGS = {  # read by vLLM when it is imported
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",  # everything is in the folder
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # this process is the one that it may have
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # which has no logits processors of others
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}


def main() -> None:
    """Serve until the input ends."""
    os.environ |= SETTINGS
    given = os.fdopen(os.dup(0), "rb")
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed here is no message
    options = json.loads(sys.argv[1])
    try:
        worker = Worker(options, told)
    except Exception as error:  # vLLM may raise anything
        send(told, {"kind": "failed", "reason": kind_and_reason(error)})
        raise SystemExit(1) from error
    worker.serve(given)
    os._exit(0)  # there is nothing to put in order, for which vLLM takes ten seconds


class Worker:
    """vLLM's engine, and the requests that it has."""

    def __init__(self, options: dict[str, Any], told: BinaryIO) -> None:
        from vllm import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine

        register()  # also where cosyrt lies beside this process and is not installed
        folder = Path(options["folder"])
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.failed = config["vocab_size"] - 1
        self.stops = list(range(config[OURS]["end_token"], config["vocab_size"]))
        self.told, self.dtype = told, getattr(torch, options["dtype"])
        self.ids: dict[str, str] = {}  # our name of a request → vLLM's
        self.inbox: SimpleQueue[Message | None] = SimpleQueue()
        self.engine: Any = LLMEngine.from_engine_args(
            EngineArgs(
                model=str(folder),
                skip_tokenizer_init=True,
                dtype=options["dtype"],
                enable_prompt_embeds=True,
                max_model_len=options["max_positions"],
                max_num_seqs=options["max_requests"],
                kv_cache_memory_bytes=options["cache_bytes"],
                enforce_eager=options["eager"],
                logits_processors=[PROCESSOR],
                max_logprobs=-1,
                generation_config="vllm",
                async_scheduling=False,  # a token must be known before the next is picked
                disable_log_stats=True,
                seed=0,
            )
        )
        send(told, {"kind": "ready", "version": cosyrt.__version__})

    def serve(self, given: BinaryIO) -> None:
        """Take what comes in, and let vLLM take steps while there is anything to speak."""
        threading.Thread(target=self._read, args=[given], daemon=True).start()
        while True:
            while (message := self._next()) is not NOTHING_NEW:
                if message is None:
                    return
                self._obey(*message)
            for output in self.engine.step():
                self._tell(output)

    def _read(self, given: BinaryIO) -> None:
        with suppress(ValueError):  # then the other side is not ours
            for message in messages(given):
                self.inbox.put(message)
        self.inbox.put(None)

    def _next(self) -> Any:
        """The next message, for which it waits while there is nothing else to do; None: it was the last."""
        try:
            return self.inbox.get(block=not self.engine.has_unfinished_requests())
        except Empty:
            return NOTHING_NEW

    def _obey(self, header: dict[str, Any], data: bytes) -> None:
        name = header["request"]
        if header["kind"] == "cancel":
            if (known := self.ids.pop(name, None)) is not None:
                self.engine.abort_request([known], internal=True)
            return
        embedded = torch.from_numpy(np.frombuffer(data, np.float32).reshape(-1, header["width"]).copy())
        try:
            self.ids[name] = self.engine.add_request(
                name, {"prompt_embeds": embedded.to(self.dtype)}, self._params(header)
            )
        except Exception as error:  # a request that vLLM refuses must not end the others
            send(self.told, {"kind": "error", "request": name, "reason": kind_and_reason(error)})

    def _params(self, header: dict[str, Any]) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            max_tokens=header["most"],
            stop_token_ids=self.stops,
            seed=header["seed"],
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            extra_args={LEAST: header["least"]},
            logprobs=-1 if header["log_probabilities"] else None,
            flat_logprobs=True,
        )

    def _tell(self, output: Any) -> None:
        """Send the tokens of a step; one that stands for a failed choice ends its request."""
        (made,), name = output.outputs, output.request_id
        tokens = list(made.token_ids)
        data = b"" if made.logprobs is None else self._log_probabilities(made.logprobs, len(tokens))
        failed = self.failed in tokens
        header = {"kind": "tokens", "request": name, "tokens": tokens, "failed": failed}
        send(self.told, header | {"over": output.finished}, data)
        if output.finished:
            self.ids.pop(name, None)

    def _log_probabilities(self, logprobs: Any, tokens: int) -> bytes:
        """What the model made of each token before the choice, as float32 [tokens, V]."""
        table = torch.zeros(tokens, self.failed + 1)
        places = zip(logprobs.start_indices[-tokens:], logprobs.end_indices[-tokens:], strict=True)
        for row, (start, end) in enumerate(places):
            table[row, logprobs.token_ids[start:end]] = torch.tensor(logprobs.logprobs[start:end])
        return table[:, :-1].log_softmax(-1).numpy().tobytes()


NOTHING_NEW = object()

if __name__ == "__main__":
    main()
