"""The flags of the three clients."""

import argparse
import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, urlsplit

from taskstream.client.patience import PATIENCE_SECONDS
from taskstream.client.text import printable

BAD_FLAGS = 2
"""The exit code."""
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
    output: bool = True
    """Whether to print the output of the work."""

    @property
    def task_id(self) -> str | None:
        """The task to watch, if one is not to be started."""
        return self.task_ids[0] if self.task_ids else None


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(BAD_FLAGS, f"{self.prog}: {printable(message)} (see --help)\n")


def parse_arguments(doc: str, *, many: bool = False) -> Arguments:
    """The command line of a client, whose docstring is `doc`; `many` is for one with several tasks."""
    parser = flags(doc, many=many)
    given = vars(parser.parse_args())
    fields = {field: given[field] for field in FIELDS if field in given}
    for name, value in given.get("param", []):
        if name in fields:
            parser.error(f"argument --param: {name} is given twice")
        fields[name] = value
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
        output="no_output" not in given,
    )


def flags(doc: str, *, many: bool) -> Parser:
    """The parser of a client's command line."""
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
        add("--count", type=count, help="how many tasks to start, at least 1 (default: 5)")
    default = "Task, numbered" if many else "the name of its work"
    add("--name", help=f"what to call the task, at most 100 characters (default: {default})")
    add("--work", help="what the task does: one of those that GET /works lists (default: simulated)")
    add("--seconds", type=number, help="how long it takes, in seconds, 0 to 3600 (default: 5)")
    add("--steps", type=int, help="in how many steps, or pages for scraping, 1 to 1000 (default: 20)")
    add("--fail-at", type=number, metavar="PERCENT", help="fail on purpose there (default: don't fail)")
    add(
        "--param",
        type=parameter,
        action="append",
        metavar="NAME=VALUE",
        help="any other parameter of the work, its value as JSON or else as text; text that is JSON too "
        """goes in quotes of its own: label='"5"'; may be repeated""",
    )
    add(
        "--task-id",
        action="append",
        metavar="ID",
        help="watch this task instead of starting one" + ("; may be repeated" if many else ""),
    )
    add("--no-output", action="store_true", help="leave out the output of the work")
    add(
        "--patience",
        type=seconds,
        metavar="SECONDS",
        help=f"how long to go on without a connection, in seconds, 0 or more (default: {PATIENCE_SECONDS})",
    )
    return parser


def number(text: str) -> float:
    """A number that JSON has a word for."""
    if not math.isfinite(value := float(text)):
        raise ValueError
    return value


def seconds(text: str) -> float:
    """A number of seconds."""
    with suppress(ValueError):
        if (value := number(text)) >= 0:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")


def count(text: str) -> int:
    """A number of tasks."""
    with suppress(ValueError):
        if (value := int(text)) >= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")


def parameter(text: str) -> tuple[str, object]:
    """The name and the value of a parameter: `start=3`, `title=hello`, `deep={"a":1}`."""
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as start=3")
    try:  # Python takes NaN and 1e400 for JSON, which has no word for them
        return name, json.loads(value, parse_constant=number, parse_float=number)
    except (ValueError, RecursionError):
        return name, value


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
        path = quote(parts.path, safe="/%:@!$&()*+,;=~")
        parts.netloc.encode()
    except ValueError:  # brackets, labels, ports or bytes that are invalid
        valid = False
    if not valid or parts.path.startswith("//"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address of a server, such as http://localhost:8000"
        )
    return f"{parts.scheme}://{parts.netloc}{path}"
