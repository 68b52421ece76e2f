"""Replicas by Ray Serve: how they are started, restarted, counted and reached.

Serve's own HTTP proxy is not used. A gateway is a process of `cosyrt serve`, with the timeouts and the honest
end of a body that the proxy does not have; as many as are wanted find the same replicas.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress
from typing import Any

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, RequestRouterConfig
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from cosyrt.cluster.autoscaling import USED, used_share
from cosyrt.cluster.fleet import Fleet
from cosyrt.cluster.remote import START_S, LinkBroken
from cosyrt.cluster.replica import End, Identity, Part, Replica, ReplicaConfig
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Load
from cosyrt.errors import Busy, SpeechError, UsageError, one_line, reason_in
from cosyrt.voice.voice import Voice

log = logging.getLogger(__name__)

HEALTH_S, HEALTH_TIMEOUT_S = (
    1.0,
    10.0,
)  # between two looks of Serve at a replica; without an answer it is restarted
LOOK_S = 2.0  # that a replica has to tell its load
CONSTRUCTIONS = 1  # a model that cannot be loaded once cannot be loaded


class ServedReplica(Replica):
    """A replica with what Ray Serve asks of one."""

    async def check_health(self) -> None:
        """Let Serve restart the replica when its scheduler has ended.

        Raises:
            SpeechError: it has.
        """
        if (await self.load()).draining:
            raise SpeechError("the scheduler of this replica has ended")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """The share of the capacity that is asked for."""
        load = await self.load()
        return {USED: used_share(load.active - load.parked + load.queued, load.busy_s, load.audio_s)}

    def __del__(self) -> None:
        """Stop the scheduler when Serve lets go of the replica."""
        self.close()


def deployed(config: ReplicaConfig, fleet: Fleet, drain_s: float) -> DeploymentHandle:
    """Start the replicas, or find those that another gateway has started, and wait until they may speak.

    Raises:
        UsageError: they do not start.
    """
    identity = Identity.of(config)
    name = f"cosyrt-{identity.model}"
    deployment = serve.deployment(
        ServedReplica,
        name="speech",
        num_replicas=None if fleet.scales else fleet.replicas,
        autoscaling_config=_autoscaling(fleet) if fleet.scales else None,
        max_ongoing_requests=config.capacity,
        # Requests on their way to a replica count as queued, and gateways admit as many as there is room for.
        max_queued_requests=config.capacity * fleet.most,
        ray_actor_options={"num_cpus": fleet.cpus, "num_gpus": fleet.gpus},
        graceful_shutdown_timeout_s=drain_s,
        graceful_shutdown_wait_loop_s=HEALTH_S,
        health_check_period_s=HEALTH_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        max_constructor_retry_count=CONSTRUCTIONS,
        request_router_config=RequestRouterConfig(request_router_class="cosyrt.cluster.routing:StickyRouter"),
        logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False),
    )
    serve.start(proxy_location="Disabled", logging_config=LoggingConfig(log_level="WARNING"))
    try:
        return serve.run(deployment.bind(config, identity), name=name, route_prefix=None)
    except RuntimeError as error:
        why = reason_in(_reported(name) or str(error))
        serve.delete(name)
        raise UsageError(f"the replicas do not start: {why}") from error


def _autoscaling(fleet: Fleet) -> AutoscalingConfig:
    return AutoscalingConfig(
        min_replicas=fleet.replicas,
        max_replicas=fleet.max_replicas,
        policy=AutoscalingPolicy(policy_function="cosyrt.cluster.autoscaling:replicas_needed"),
    )


def _reported(name: str) -> str:
    """What Serve reports of an application that does not start."""
    status = serve.status().applications.get(name)
    return "" if status is None else "\n".join(each.message for each in status.deployments.values())


def _cancel(response: Any) -> None:
    """Stop the work of a request; nothing is to be stopped where no replica took it."""
    with suppress(BackPressureError, DeploymentUnavailableError, ray.exceptions.RayError):
        response.cancel()


class ServeLink:
    """The way to the replicas of a deployment."""

    def __init__(self, handle: DeploymentHandle, own_voices: Collection[str]) -> None:
        self.handle = handle
        self.own_voices = own_voices  # digests of the model's voices, which every replica keeps

    async def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        """Let a replica speak; closing the generator cancels the work there.

        Raises:
            Busy: none takes more work. LinkBroken: the replica went away.
        """
        options: dict[str, Any] = {"stream": True, "method_name": "speak"}
        handle = self.handle.options(**options, session_id=self._session(request))
        response = handle.remote(request, key)
        try:
            async for part in response:
                yield part
        except (BackPressureError, DeploymentUnavailableError) as error:
            raise Busy(f"no replica takes it; come back in {START_S:g} s", START_S) from error
        except ray.exceptions.RayTaskError:
            raise  # a bug in the replica, which goes on
        except ray.exceptions.RayError as error:
            raise LinkBroken(one_line(error, 200)) from error
        finally:
            _cancel(response)

    def _session(self, request: Request) -> str:
        """The digest of a voice that has replicas of its own; empty where any will do."""
        voice = request.voice
        return voice.digest if isinstance(voice, Voice) and voice.digest not in self.own_voices else ""

    async def loads(self) -> list[Load]:
        """What each replica that runs has to do.

        Raises:
            TimeoutError: one did not answer in time. Serve ends it when it goes on like that.
        """
        try:
            answers = await self.handle.broadcast("load").results_async(
                timeout_s=LOOK_S, return_exceptions=True
            )
        except DeploymentUnavailableError:
            return []
        return [each for each in answers if isinstance(each, Load)]

    async def forget(self, digest: str) -> None:
        """Let every replica keep nothing of a voice."""
        try:
            answers = await self.handle.broadcast("forget", digest).results_async(return_exceptions=True)
        except DeploymentUnavailableError:  # a replica that starts knows no voices
            return
        for each in answers:
            if isinstance(each, BaseException) and not isinstance(each, ray.exceptions.RayActorError):
                raise each
