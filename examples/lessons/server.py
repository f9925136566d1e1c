"""The server of a lesson, in a process of its own."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from examples.lessons.timeline import Kind, Timeline

LAUNCH = Path(__file__).with_name("launch.py")
STOP_SECONDS = 3.0
"""How long a server may take to stop before we say that it doesn't."""
START_SECONDS = 20
"""How long it may take to start, on a busy machine."""
RUNNING = re.compile(r"running on http://\S+:(\d+)")
WORK = re.compile(r"work: (.*)")
LOGGED = re.compile(
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):|Traceback|During handling|The above exception|\s|$"
)
"""uvicorn's log, and tracebacks up to the line that names the error: what else is printed is told."""
ERROR = re.compile(r"[\w.]+(?:Error|Exception|Exit|Interrupt)\b.*")
FRAME = re.compile(r'  File ".*?([^/\\]+)", line (\d+)')


class LessonServer:
    """`uvicorn LESSON:app`, and what it prints: lines that begin with `work:`, errors, and other lines."""

    def __init__(self, process: asyncio.subprocess.Process, timeline: Timeline, file: str) -> None:
        """`file` is the name of the one that is served."""
        self._process = process
        self._timeline = timeline
        self._file = file
        self._line = ""
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def read(self) -> None:
        """Note what it prints, until it ends."""
        assert self._process.stdout is not None
        reason = "it ended without a word"
        async for line in self._process.stdout:
            text = self._located(line.decode("utf-8", "replace").rstrip())
            if text and not (ERROR.search(reason) and LOGGED.match(text)):
                reason = text.removeprefix("ERROR:").strip()
            if (found := RUNNING.search(text)) and not self._port.done():
                self._port.set_result(int(found[1]))
            elif found := WORK.match(text):
                self._timeline.add("", Kind.WORK, found[1])
            elif not LOGGED.match(text):
                self._timeline.add("", Kind.SERVER, text)
        if not self._port.done():
            self._port.set_exception(RuntimeError(f"The server has not started: {reason}"))

    def _located(self, text: str) -> str:
        """A line of output; if it names an error, with the line of the file in which that happened."""
        if (found := FRAME.match(text)) and found[1] == self._file:
            self._line = f"line {found[2]}: "
        if not ERROR.match(text):
            return text
        line, self._line = self._line, ""
        return line + text

    async def port(self) -> int:
        """Where it listens, once it does. Raises `RuntimeError`: a sentence that says why it doesn't."""
        try:
            async with asyncio.timeout(START_SECONDS):
                return await self._port
        except TimeoutError:
            raise RuntimeError(
                f"The server has not started within {START_SECONDS} s: does {self._file} end, if imported?"
            ) from None

    async def stop(self) -> None:
        """Stop it by the signal of Ctrl-C, and note whether it stops."""
        self._timeline.add("", Kind.SERVER, "Ctrl-C")
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
            self._timeline.add("", Kind.SERVER, "the server has stopped")
        except TimeoutError:
            self._timeline.add("", Kind.SERVER, "the server still runs")

    def kill(self) -> None:
        """Kill it."""
        with suppress(ProcessLookupError):
            self._process.kill()


@asynccontextmanager
async def serving(module: Path, timeline: Timeline, folder: str) -> AsyncIterator[LessonServer]:
    """The server of a module with an `app`, until the end of the block.

    `folder` is one that it shares with the other servers of the same scenario.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(LAUNCH), f"{module.stem}:app", "--app-dir", str(module.parent)),
        *("--port", "0", "--no-access-log", "--ws", "none"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SHARED_FOLDER": folder,
        },
        start_new_session=True,  # so that Ctrl-C is for us alone
    )
    server = LessonServer(process, timeline, module.name)
    reading = asyncio.create_task(server.read())
    try:
        await server.port()
        yield server
    finally:
        server.kill()
        await reading
        await process.wait()
