"""Applications whose tasks are in a file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from taskstream import Output, TaskStream, Update

Make = Callable[..., TaskStream]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


@pytest.fixture
def make(path: Path) -> Make:
    """Make an application, as each process would; they share what their works say and wait for."""
    seen: list[object] = []

    def make(gate: asyncio.Event | None = None, **settings: object) -> TaskStream:
        tasks = TaskStream(**{"database": path, **settings})  # type: ignore[arg-type]

        @tasks.work
        async def steps(*, count: int = 3, wait: float = 0) -> AsyncIterator[Update | Output]:
            for number in range(count):
                await asyncio.sleep(wait)
                yield Output(f"line {number}\n")
                yield Update(100 * number / count, f"Step {number}")

        @tasks.work
        async def gated(*, number: int = 0) -> int:
            seen.append(number)
            await (gate or asyncio.Event()).wait()
            return number

        @tasks.work
        def noted(*, secret: SecretStr, raw: bytes, numbers: set[int]) -> None:
            seen.append((secret.get_secret_value(), raw, numbers))

        tasks.seen = seen  # type: ignore[attr-defined]
        return tasks

    return make
