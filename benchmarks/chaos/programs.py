"""The processes of a cluster: started, suspended, killed, and none of them left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent.parent


class Program:
    """A program in a process group of its own, which can be started again after it has died."""

    def __init__(self, name: str, command: list[str], log: Path, **environment: str) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._environment = environment
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def running(self) -> bool:
        """Whether it runs, or is suspended."""
        return bool(self._processes) and self._processes[-1].poll() is None

    @property
    def output(self) -> str:
        """All that it has printed, in all of its lives."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    async def printed(self, text: str) -> None:
        """Wait until it has printed this."""
        while text not in self.output:  # noqa: ASYNC110 - a file tells nobody that it has grown
            await asyncio.sleep(0.1)

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.running:
            return
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment},
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)

    def signal(self, number: int) -> None:
        """Send a signal to it and all of its children."""
        if self._processes:
            with suppress(ProcessLookupError):
                os.killpg(self._processes[-1].pid, number)

    def kill_parent(self) -> None:
        """Kill it, but not its children."""
        if self.running:
            self._processes[-1].kill()
            self._processes[-1].wait()

    def children(self) -> list[psutil.Process]:
        """Its children."""
        with suppress(psutil.NoSuchProcess):
            if self.running:
                return psutil.Process(self._processes[-1].pid).children()
        return []

    def kill(self) -> None:
        """Kill it with all of its children, as if the machine had lost its power."""
        self.signal(signal.SIGKILL)
        if self._processes:
            self._processes[-1].wait()

    def terminate(self) -> None:
        """End it in good order, also if it is suspended."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        if self._processes:
            self._processes[-1].wait()

    def kill_all(self) -> None:
        """Kill what is left of all of its lives."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def python(*arguments: str, mutant: str | None) -> list[str]:
    """The command that runs a module, with one of its safeguards switched off if there is a mutant."""
    if mutant:
        return [sys.executable, "-m", "benchmarks.chaos.mutant", mutant, "--", *arguments]
    return [sys.executable, "-m", *arguments]
