"""The programs under test, as processes of their own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Self

ROOT = Path(__file__).parent.parent.parent
STOP_SECONDS = 30
"""When a program is taken to hang; where it has to be quicker, tests measure by themselves."""


class Program:
    """A program of this project, whose output can be waited for."""

    executable: tuple[str, ...] = (sys.executable,)
    folder = ROOT
    process_group: int | None = None
    stdin = subprocess.DEVNULL
    last_line: str | None = None
    """What nobody reads on behind."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.lines: list[str] = []
        self._new_lines: Queue[str | None] = Queue()
        self.process = subprocess.Popen(
            [*self.executable, *arguments],
            cwd=self.folder,
            process_group=self.process_group,
            # Bytecode is kept even in a container that says no: the same modules start hundreds of times.
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "", **environment},
            stdin=self.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.wait()

    @property
    def output(self) -> str:
        """All that it has printed, to stdout and stderr."""
        return "".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        """The first line not yet waited for that matches. Raises `AssertionError` if it ends without."""
        while (line := self._new_lines.get(timeout=seconds)) is not None:
            if match := re.search(pattern, line):
                return match
        self.wait()
        raise AssertionError(f"It ended without a line like {pattern!r}:\n{self.output}")

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code, once it has ended."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def stop(self, number: int = signal.SIGTERM, seconds: float = STOP_SECONDS) -> int:
        """Send it a signal; its exit code."""
        self.process.send_signal(number)
        return self.wait(seconds)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line)
                self._new_lines.put(line)
                if self.last_line and self.last_line in line:
                    break
        self._new_lines.put(None)


class Server(Program):
    """`python app.py`, ready to answer, on a free port unless the flags name one."""

    program: tuple[str, ...] = ("app.py",)
    start_seconds: float = 30

    def __init__(self, *flags: str, **environment: str) -> None:
        port = () if "--port" in flags else ("--port", "0")
        super().__init__(*self.program, *port, *flags, **environment)
        self.url = self.wait_for(r"running on (http://\S+)", self.start_seconds)[1]
        self.port = int(self.url.rpartition(":")[2])

    def memory(self) -> int:
        """The resident memory of the process, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])

    def descriptors(self) -> int:
        """How many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


class OwnWorkServer(Server):
    """The same server with more work: `tests/support/own_work.py`."""

    program = ("-m", "tests.support.own_work")


class UvicornServer(Server):
    """`uvicorn app:app`."""

    program = ("-m", "uvicorn", "app:app")


class AsyncioServer(Server):
    """The same server without uvloop, as on Windows."""

    program = (
        "-c",
        "import runpy, sys; sys.modules['uvloop'] = None; runpy.run_path('app.py', run_name='__main__')",
    )


class OwnApp(Server):
    """`uvicorn mine:app` in a folder that has nothing but this `mine.py`."""

    program: tuple[str, ...] = ("-m", "uvicorn", "mine:app")

    def __init__(self, folder: Path, source: str, *flags: str) -> None:
        (folder / "mine.py").write_text(source, encoding="utf-8")
        self.folder = folder
        super().__init__(*flags, PYTHONPATH=str(ROOT))
