"""What the three clients share around the conversation: flags, bars or plain lines, exit codes."""

import argparse
import io
import math
import os
import re
import shlex
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import quote, urlsplit

from rich.console import Console

from taskstream.client.display import Bars, Display, Lines, printable
from taskstream.client.protocol import ENDED, PATIENCE_SECONDS, Patience, ServerError, Snapshot

SUCCESS, FAILED, REFUSED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
"""Exit codes; the last two are what a shell makes of the signals."""

FIELDS = ("name", "work", "seconds", "steps", "fail_at")
"""The flags that go to the server as they are; those not given are left to its defaults."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command line asks for."""

    url: str
    fields: dict[str, object]
    task_ids: list[str]
    patience_seconds: float
    count: int = 1

    @property
    def task_id(self) -> str | None:
        """The task to watch, if one is not to be started."""
        return self.task_ids[0] if self.task_ids else None


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(REFUSED, f"{self.prog}: {printable(message)} (see --help)\n")


def parse_arguments(doc: str, *, many: bool = False) -> Arguments:
    """The command line of a client, whose docstring is `doc`; `many` adds --count."""
    description, _, examples = doc.partition("\n")
    parser = Parser(
        description=description,
        epilog=examples.strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--url", type=server_url, help="address of the server (default: http://localhost:8000)")
    if many:
        add("--count", type=count, help="how many tasks to start (default: 5)")
    add("--name", help="what to call the task, at most 100 characters (default: the name of its work)")
    add("--work", help="what the task does: simulated or scraping (default: simulated)")
    add("--seconds", type=number, help="how long it takes, in seconds, 0 to 3600 (default: 5)")
    add("--steps", type=int, help="in how many steps, or pages for scraping, 1 to 1000 (default: 20)")
    add("--fail-at", type=number, metavar="PERCENT", help="fail on purpose there (default: don't fail)")
    add(
        "--task-id",
        action="append",
        metavar="ID",
        help="watch this task instead of starting one" + ("; may be repeated" if many else ""),
    )
    add(
        "--patience",
        type=duration,
        metavar="SECONDS",
        help=f"how long to go on without a connection, in seconds (default: {PATIENCE_SECONDS})",
    )
    given = vars(parser.parse_args())
    fields = {field: given[field] for field in FIELDS if field in given}
    task_ids = given.get("task_id", [])
    if task_ids and (fields or "count" in given):
        parser.error("--task-id watches a task that exists: flags for a new one don't go with it")
    if len(task_ids) > 1 and not many:
        parser.error("--task-id: one task at a time; multiple_task.py watches many")
    return Arguments(
        url=given.get("url", "http://localhost:8000"),
        fields=fields,
        task_ids=task_ids,
        patience_seconds=given.get("patience", PATIENCE_SECONDS),
        count=given.get("count", 5),
    )


def number(text: str) -> float:
    """A number that JSON has a word for."""
    if not math.isfinite(value := float(text)):
        raise ValueError
    return value


def duration(text: str) -> float:
    """A number of seconds."""
    if (value := number(text)) < 0:
        raise ValueError
    return value


def count(text: str) -> int:
    """A number of tasks."""
    if (value := int(text)) < 1:
        raise ValueError
    return value


def server_url(text: str) -> str:
    """The address that a person means: `localhost:8000`, `:8000`, or that of the page, with its `#task`."""
    scheme, address = re.findall(r"(?is)^(?:(https?):/*)?(.*)", text.strip())[0]
    address = re.split("[?#]", address)[0].rstrip("/")
    if re.match(r":?\d+(/|$)", address):  # a port alone
        address = f"localhost:{address.removeprefix(':')}"
    try:
        parts = urlsplit(f"{scheme.lower() or 'http'}://{address}")
        host = (parts.hostname or "").encode("idna").decode()
        valid = re.fullmatch(r"[\w.-]+|[\da-f:.]+", host) and parts.port != 0
    except ValueError:  # brackets, labels or ports that can't be
        valid = False
    if not valid or parts.path.startswith("//"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address of a server, such as http://localhost:8000"
        )
    return f"{parts.scheme}://{parts.netloc}{quote(parts.path, safe='/%:@!$&()*+,;=~')}"


class Terminal:
    """Where a client shows its tasks. Leaving it ends the program, with the exit code that they deserve."""

    def __init__(self, arguments: Arguments, *, many: bool = False) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a name must not fail for want of a character
            sys.stdout.reconfigure(errors="backslashreplace")
        self._arguments = arguments
        self._many = many
        self._unfinished = dict.fromkeys(arguments.task_ids)
        self._latest: dict[str, Snapshot] = {}
        self._refusals: list[str] = []
        bars = sys.stdout.isatty() and Console().is_interactive
        self._display: Display = Bars(many=many) if bars else Lines(many=many)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            self._display.stop()
            code = self._end(error)
        except BrokenPipeError:
            code = PIPE_CLOSED
        if code == PIPE_CLOSED:  # or Python would complain about what it could not write
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code is not None:
            sys.exit(code)

    def started(self, snapshot: Snapshot) -> str:
        """Say where the page shows a new task; its id."""
        task_id: str = snapshot["task_id"]
        self._unfinished[task_id] = None
        name = f"{snapshot['name']}: " if self._many else ""
        self._display.say(f"{name}{self._arguments.url}/#{task_id}")
        return task_id

    def patience(self, task_id: str) -> Patience:
        """How long to go on without a connection; what becomes of it is shown."""
        notify = partial(self._display.note, task_id)
        return Patience(self._arguments.url, self._arguments.patience_seconds, notify)

    def show(self, snapshot: Snapshot) -> None:
        """Show how far a task has come."""
        self._latest[snapshot["task_id"]] = snapshot
        if snapshot["status"] in ENDED:
            self._unfinished.pop(snapshot["task_id"], None)
        self._display.show(snapshot)

    def refuse(self, error: ServerError) -> None:
        """Say once what goes for one task or for many; the others go on."""
        if str(error) not in self._refusals:
            self._complain(str(error))
        self._refusals.append(str(error))

    def _end(self, error: BaseException | None) -> int | None:
        """The exit code; None for an error that is a mistake in the program."""
        match error:
            case BrokenPipeError():
                return PIPE_CLOSED
            case KeyboardInterrupt():
                self._complain("Interrupted." + self._how_to_watch_again())
                return INTERRUPTED
            case ServerError():
                self.refuse(error)
            case BaseException():
                return None
        if self._refusals:
            return REFUSED
        ok = all(snapshot["status"] == "SUCCESS" for snapshot in self._latest.values())
        return SUCCESS if ok else FAILED

    def _how_to_watch_again(self) -> str:
        if not self._unfinished:
            return ""
        url = shlex.quote(self._arguments.url)
        ids = " ".join(f"--task-id {shlex.quote(task_id)}" for task_id in self._unfinished)
        they = "The task goes" if len(self._unfinished) == 1 else "The tasks go"
        return f" {they} on; watch again with: python {sys.argv[0]} --url {url} {ids}"

    def _complain(self, text: str) -> None:
        self._display.complain(f"{Path(sys.argv[0]).name}: {text}")
