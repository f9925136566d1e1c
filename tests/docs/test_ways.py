"""The ways of an event and of a start: docs/architecture.md lists the functions that really are called."""

import json
import re
import signal
from http.client import HTTPConnection

import pytest

from tests.support.programs import ROOT, Server

TIMERS = ("Streams.watch", "Stream.check", "Stream._check")
"""What ticks for everybody."""


class ProfiledServer(Server):
    """The demo, which prints what was called when it ends."""

    program = ("-m", "tests.support.profiled")


def start_and_watch(port: int, **parameters: float) -> None:
    """Start a task over one connection, which stays open, and watch it to its end over another."""
    starting, watching = (HTTPConnection("127.0.0.1", port) for _ in range(2))
    starting.request("POST", "/start-task", json.dumps(parameters))
    task_id = json.load(starting.getresponse())["task_id"]
    watching.request("GET", f"/task-progress/{task_id}")
    assert b"SUCCESS" in watching.getresponse().read()
    starting.close()
    watching.close()


def calls(*flags: str) -> list[str]:
    """All that is called while one viewer watches one task, which is not the first one."""
    with ProfiledServer(*flags) as server:
        start_and_watch(server.port, seconds=0)
        start_and_watch(server.port, seconds=1, steps=5)
        assert server.stop(signal.SIGINT) == 0
        called = re.findall(r"^called (.*)$", server.output, re.MULTILINE)
    return [each for each in called if not each.endswith(TIMERS)]


def listed(title: str) -> list[str]:
    """The functions in the list of docs/architecture.md that has this title."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split(f"### {title}\n")[1].split("\n#")[0]
    return re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE)


def files(functions: list[str]) -> set[str]:
    """The files in which these functions stand."""
    return {each.split()[0] for each in functions}


@pytest.mark.parametrize(
    ("flags", "title"), [((), "An event"), (("--wrapped",), "An event through sse-starlette")]
)
def test_an_event(flags: tuple[str, ...], title: str) -> None:
    """From `yield Update(...)` to the socket, an event passes the functions that are listed, no other."""
    called = calls(*flags)
    steps = [number for number, each in enumerate(called) if each == "app.py simulated"]
    one_event = {*called[steps[-6] : steps[-4]]}  # a step is resumed twice: when it yields, when it goes on
    assert one_event == {*listed(title)}
    assert len(one_event) <= 14
    assert len(files(listed(title))) <= 6


def test_a_start() -> None:
    """From the connection to its work's first step, a start passes those that are listed, no other."""
    called = calls()
    [*_, first, _] = [n for n, each in enumerate(called) if each.endswith("Connection.connection_made")]
    begin = called.index("app.py simulated", first)
    start = {*called[first : begin + 1]}
    assert start == {*listed("A start")}
    assert len(start) <= 35
    assert len(files(listed("A start"))) <= 10
