"""The limits of a cluster: how much it keeps of a task, for how long, and how many tasks there may be."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that all programs of a cluster have in common; no run reaches those that stand here."""

    history_length: int = 1000
    retention_seconds: int = 3600
    max_tasks: int = 100_000

    def to_json(self) -> str:
        """What a history says of them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read them."""
        return cls(**json.loads(text))


ANY_LIMITS = (
    Limits(),
    Limits(history_length=6),
    Limits(retention_seconds=5),
    Limits(max_tasks=8),
)
"""A run has one of these."""
