"""What takes down the history of a run."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.chaos.history import Observation, What, read_history


class Recorder:
    """Writes each observation to a file at once, so that it is there whatever becomes of the run."""

    def __init__(self, path: Path, works_path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._path = path
        self._works_path = works_path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def record(self, what: What, who: str, **about: Any) -> None:  # noqa: ANN401 - see Observation
        """Take down what has been observed just now."""
        observation = Observation(who=who, what=what, **{"at": time.time(), **about})
        self._file.write(observation.to_json() + "\n")

    def history(self) -> list[Observation]:
        """All that was observed, also by the works themselves."""
        self._file.flush()
        lines = self._path.read_text(encoding="utf-8").splitlines()
        if self._works_path.exists():
            lines += self._works_path.read_text(encoding="utf-8").splitlines()
        return read_history(lines)
