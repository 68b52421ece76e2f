"""One request for speech from its admission to its end, however it came in and whatever it is sent as.

Every way into the service uses `speak`, so that limits, cancelling and figures are the same for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import replace

from cosyrt.audio import Audio
from cosyrt.engine.request import Request
from cosyrt.engine.speech_scheduler import submitted
from cosyrt.errors import Busy
from cosyrt.service.callers import Caller
from cosyrt.service.errors import TooLate, TooManyRequests
from cosyrt.service.figures import Figures
from cosyrt.service.speech_log import note_label, note_request
from cosyrt.service.state import Service


@asynccontextmanager
async def admitted(service: Service, caller: Caller) -> AsyncIterator[None]:
    """Count a request of this caller for as long as the block runs.

    Raises:
        Busy: the service ends. TooManyRequests: the caller has used up what it may ask for now.
    """
    key = caller.key_id
    with ExitStack() as place:
        try:
            place.enter_context(service.admission.admitted(key or caller.account_id, limited=bool(key)))
            if key:
                await service.rates.take(key)
        except TooManyRequests:
            place.close()  # it is refused: it must not count while its answer is held back
            await asyncio.sleep(service.admission.held_s(key))
            raise
        yield


async def speak(
    service: Service, caller: Caller, request: Request, figures: Figures
) -> AsyncGenerator[Audio, None]:
    """Audio of a request as it is made; closing the generator cancels the work.

    Raises:
        CosyrtError: the request is refused, cannot be spoken, or fails.
        TooLate: no audio came in time.
    """
    with _noted(service, caller, request, figures):
        async with (
            admitted(service, caller),
            aclosing(_speak(service, caller, request, figures)) as audio,
        ):
            async for part in audio:
                yield part


async def speak_patiently(
    service: Service, caller: Caller, request: Request, figures: Figures
) -> AsyncGenerator[Audio, None]:
    """Audio of a further part of something that was admitted: where the machine is full, it waits its turn.

    Raises:
        CosyrtError: as `speak`; Busy only when the wait was long.
    """
    until = asyncio.get_running_loop().time() + service.settings.first_audio_s
    with _noted(service, caller, request, figures):
        while True:
            try:
                async with aclosing(_speak(service, caller, request, figures)) as audio:
                    async for part in audio:
                        yield part
                return
            except Busy as busy:  # raised before the first audio, so that nothing is said twice
                if asyncio.get_running_loop().time() + busy.retry_after_s > until:
                    raise
                await asyncio.sleep(busy.retry_after_s)


@contextmanager
def _noted(service: Service, caller: Caller, request: Request, figures: Figures) -> Iterator[None]:
    """Write down how a request went, however it ends."""
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        note_request(service, caller, request, figures, failure)


async def _speak(
    service: Service, caller: Caller, request: Request, figures: Figures
) -> AsyncGenerator[Audio, None]:
    settings = service.settings
    request = replace(request, deadline=settings.request_s)
    key = caller.key_id or caller.account_id
    with await submitted(service.scheduler, request, key) as ticket:
        figures.pieces = ticket.pieces
        try:
            async with asyncio.timeout(settings.first_audio_s):
                first = await anext(ticket, None)
        except TimeoutError:
            raise TooLate(f"no audio came within {settings.first_audio_s:g} s; come back later") from None
        try:
            if first is not None:
                figures.take(first)
                note_label(service, caller, request, figures)
                yield first
            async for audio in ticket:
                figures.take(audio)
                yield audio
        finally:
            service.metrics.spoken(figures)
