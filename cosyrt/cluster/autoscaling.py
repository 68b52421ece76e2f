"""How many replicas a service needs: from the share of their capacity in seconds of audio that is asked for.

A listener asks for a second of audio a second. What a replica can make of it in a second is the inverse of
the work that a second costs, which its scheduler knows.
"""

from __future__ import annotations

from typing import Any

USED = "used"  # the name of the share among the figures of a replica
TARGET = 0.7  # of capacity: what is above it is room for bursts while another replica starts


def used_share(listeners: int, busy_s: float, audio_s: float) -> float:
    """Audio that listeners ask for, as a share of what can be made meanwhile; 0 until that is known."""
    return listeners * busy_s / audio_s if audio_s else 0.0


def replicas_needed(context: Any) -> tuple[float, dict[str, Any]]:
    """The number of replicas that would be used to their target; limits and delays are the autoscaler's.

    Ray Serve calls it in its controller, with an `AutoscalingContext`.
    """
    shares = (context.aggregated_metrics or {}).get(USED, {})
    if not shares:  # nothing is known yet
        return context.current_num_replicas, {}
    return sum(shares.values()) / TARGET, {}
