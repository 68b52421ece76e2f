"""How many replicas a service has, and what each takes of its machine."""

from __future__ import annotations

from dataclasses import dataclass

from cosyrt.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The replicas of a service.

    Raises:
        UsageError: fewer replicas at most than at least.
    """

    replicas: int = 1  # at least
    max_replicas: int = 0  # 0: no more than `replicas`
    cpus: float = 1.0  # of each
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.max_replicas and self.max_replicas < self.replicas:
            raise UsageError(
                f"max_replicas is {self.max_replicas}, fewer than replicas, {self.replicas}; "
                "raise it, or leave it out"
            )

    @property
    def most(self) -> int:
        """Replicas that there may be at once."""
        return max(self.replicas, self.max_replicas)

    @property
    def scales(self) -> bool:
        """Whether the number of replicas follows what is asked of them."""
        return self.max_replicas > self.replicas
