"""What a check has found: a promise that was not kept."""

from dataclasses import dataclass

from benchmarks.chaos.history import Observation


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept, and what shows it."""

    promise: str
    """The name of the check."""
    text: str
    """One sentence."""
    evidence: tuple[Observation, ...] = ()

    @property
    def task(self) -> str:
        """The task that it is about, if it is about one."""
        return next((each.task for each in self.evidence if each.task), "")
