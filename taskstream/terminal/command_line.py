"""The flags of the three clients, and advice, with commands to be pasted into a shell."""

import argparse
import json
import math
import os
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from taskstream.client import environment
from taskstream.client.errors import causes
from taskstream.client.protocol import NoServer, ServerError, WrongPath, WrongServer, server_url
from taskstream.client.retrying import GIVE_UP_SECONDS
from taskstream.terminal.text import printable, without_password

MAX_COUNT = 1000
FIELDS = ("name", "work", "seconds", "steps", "fail_at")
"""The flags that go to the server as they are; those not given are left to its defaults."""


class Arguments(argparse.Namespace):
    """What the command line asks for."""

    url: str
    count: int = 0
    headers: dict[str, str]
    """What each request says beside what it has to."""
    task_ids: list[str]
    output: bool
    """Whether to print the output of the work."""
    patience: float
    """For how many seconds to go on without a connection."""
    fields: dict[str, object]
    """The fields of a new task."""


class FlagParser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(2, f"{self.prog}: {printable(without_password(message))} (see --help)\n")


def parse_arguments(doc: str, *, many: bool = False) -> Arguments:
    """The command line of a client, whose docstring is `doc`; `many` is for one with several tasks."""
    parser = flags(doc, many=many)
    arguments = parser.parse_args(namespace=Arguments())
    try:
        arguments.url = server_url(arguments.url)
    except ValueError as error:
        parser.error(f"argument --url: {error}")
    given = {name: getattr(arguments, name) for name in FIELDS}
    arguments.fields = {name: value for name, value in given.items() if value is not None}
    arguments.headers = dict(arguments.headers)
    arguments.task_ids = list(dict.fromkeys(arguments.task_ids))
    for name, value in arguments.param:
        if name in arguments.fields:
            parser.error(f"argument --param: {name} is given twice")
        arguments.fields[name] = value
    if "" in arguments.task_ids:
        parser.error("argument --task-id: it is empty")
    if arguments.task_ids and (arguments.fields or arguments.count):
        parser.error("--task-id watches a task that exists: flags for a new one don't go with it")
    if len(arguments.task_ids) > 1 and not many:
        parser.error("--task-id: one task at a time; multiple_task.py watches many")
    arguments.count = arguments.count or 5
    return arguments


def flags(doc: str, *, many: bool) -> FlagParser:
    """The parser of a client's command line."""
    description, _, examples = doc.partition("\n")
    layout = argparse.RawDescriptionHelpFormatter
    parser = FlagParser(description=description, epilog=examples.strip(), formatter_class=layout)
    add = parser.add_argument
    url = "http://localhost:8000"
    add("--url", default=url, help=f"address of the server (default: {url})")
    if many:
        kind = f"a whole number, 1 to {MAX_COUNT}"
        count = partial(within, 1, MAX_COUNT, int, kind)
        add("--count", type=count, help=f"how many tasks to start, {kind} (default: 5)")
    add_task_flags(parser, "Task, numbered" if many else "the name of its work")
    repeated = partial(add, action="append", default=[])
    words = "watch this task instead of starting one" + ("; may be repeated" if many else "")
    repeated("--task-id", dest="task_ids", metavar="ID", help=words)
    words = "send this with each request, as to a server that is guarded; may be repeated"
    repeated("--header", type=header, dest="headers", metavar="NAME:VALUE", help=words)
    add("--no-output", action="store_false", dest="output", help="leave out the output of the work")
    seconds = partial(within, 0, math.inf, number, "a number of seconds, 0 or more")
    words = f"how long to go on without a connection, in seconds, 0 or more (default: {GIVE_UP_SECONDS})"
    add("--patience", type=seconds, default=GIVE_UP_SECONDS, metavar="SECONDS", help=words)
    return parser


def add_task_flags(parser: FlagParser, name: str) -> None:
    """Add the flags for a new task, whose default name is this."""
    add = parser.add_argument
    add("--name", help=f"what to call the task, at most 100 characters (default: {name})")
    add("--work", help="what the task does: one of those that GET /works lists (default: simulated)")
    add("--seconds", type=number, help="for how many seconds it runs, 0 to 3600 (default: 5)")
    add("--steps", type=int, help="how many steps it has, or pages to scrape, 1 to 1000 (default: 20)")
    words = "at how many percent to fail on purpose (default: don't fail)"
    add("--fail-at", type=number, metavar="PERCENT", help=words)
    words = "any other parameter of the work, its value as JSON or else as text; text that is JSON too "
    words += """goes in quotes of its own: label='"5"'; may be repeated"""
    add("--param", type=parameter, action="append", default=[], metavar="NAME=VALUE", help=words)


def number(text: str) -> float:
    """A number that JSON has a word for."""
    if not math.isfinite(value := float(text)):
        raise ValueError
    return value


def within(least: float, most: float, convert: Callable[[str], float], kind: str, text: str) -> float:
    """A number that is neither too small nor too large."""
    with suppress(ValueError):
        if least <= (value := convert(text)) <= most:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not {kind}")


def header(text: str) -> tuple[str, str]:
    """The name and the value of a header: `Authorization: Bearer abc`."""
    name, separator, value = text.partition(":")
    if separator and re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII) and value.isprintable():
        return name, value.strip()
    raise argparse.ArgumentTypeError("this is not NAME:VALUE, such as Authorization:Bearer abc")  # a secret


def parameter(text: str) -> tuple[str, object]:
    """The name and the value of a parameter: `start=3`, `title=hello`, `deep={"a":1}`."""
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as start=3")
    try:  # Python takes NaN and 1e400 for JSON, which has no word for them
        return name, json.loads(value, parse_constant=number, parse_float=number)
    except ValueError:
        return name, value


def python_command(program: str | Path, *arguments: str) -> str:
    """The command that runs a program with the interpreter of this one."""
    python, here = Path(sys.executable or "python"), Path.cwd()
    if python.is_relative_to(here):  # not resolved: a venv's is a link out of it
        python = python.relative_to(here)
    words = [str(python), str(program), *arguments]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def advice(error: ServerError, url: str) -> str:
    """Why there is nothing more to show, and what to do about it."""
    reason = str(error).removesuffix(".")
    match error:
        case NoServer():
            return f"{reason}: {remedy(error, url)}"
        case WrongServer():
            return f"{reason}: check --url."
        case WrongPath():
            return f"{reason}; is a path prefix missing from --url, such as /jobs?"
    return str(error)


def remedy(error: NoServer, url: str) -> str:
    """What to do where no connection was made."""
    kinds = [type(cause) for cause in causes(error)]
    if ssl.SSLCertVerificationError in kinds:
        return "check --url, and the certificate, whose authority SSL_CERT_FILE can name."
    if environment.proxies(url):
        return f"check --url, and the proxy in {urlsplit(url).scheme.upper()}_PROXY."
    if environment.proxies_count(url) or ConnectionRefusedError not in kinds:
        return "check --url."
    port = urlsplit(url).port or 8000
    flags = () if port == 8000 else ("--port", str(port))
    server = Path(sys.argv[0]).parent / "app.py"  # beside the program that runs
    return f"start it with: {python_command(server, *flags)}"
