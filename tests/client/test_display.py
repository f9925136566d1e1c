"""How tasks look, on a terminal and in a pipe."""

import asyncio
import re
import signal
import subprocess
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from taskstream.terminal.bars import time_left
from taskstream.terminal.text import RESULT_CHARACTERS, duration, is_moving, message_of
from tests.client.running import (
    ALL,
    ONE,
    TERMINALS,
    Run,
    event,
    run_in_terminal,
    show,
    snapshot,
    stream_of,
    suspend,
    without_colours,
)
from tests.support.faults import Answer, FaultProxy, Raw
from tests.support.programs import Server

EVIL = (
    "\x1b]0;title\x07 \x1b]52;c;ZXZpbA==\x07 \x9b2J \0\x7f\x85\u2028"
    "\xad\u061c\u200b\u200e\u200f\u202e\u2066\u2069\ufeff\ud800"
)
"""What sets a title or the clipboard, clears the screen, ends a line, turns text around, or is hidden."""
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of such characters."""


@ALL
@pytest.mark.parametrize("shown", ["lines", pytest.param("bars", marks=TERMINALS)])
@pytest.mark.parametrize("status", ["SUCCESS", EVIL])
async def test_hostile_texts(run: Run, client: str, shown: str, status: str) -> None:
    """Nothing that a server says reaches a terminal unfiltered: name, status, message, result, refusal."""
    evil = snapshot(name=EVIL, status=status, message=EVIL, data={"a": EVIL})
    refusal = Answer(403, (), '{"detail":"\\u001b]0;x\\u0007\\u200e"}')
    async with FaultProxy(faults=(stream_of(evil, before="retry: 1\n"),), always=refusal) as proxy:
        flags = (client, "--url", proxy.url, "--task-id", "x", "--patience", "3")
        if shown == "lines":
            program = run(*flags)
            await asyncio.to_thread(program.wait)
            output = program.output
            assert all(each.encode("unicode_escape").decode() in output for each in EVIL)
        else:
            _, screen = await asyncio.to_thread(run_in_terminal, *flags)
            output = without_colours(screen)
    assert r"\x1b]0;tit" in output
    assert ("says no" in output) == (status != "SUCCESS")
    assert [each for each in output if each != "\n" and unicodedata.category(each) in OBEYED] == []


@ONE
async def test_result_in_lines(run: Run, client: str) -> None:
    """The result of a task that succeeded is printed after it, as JSON on one line that isn't too long."""
    done = snapshot(status="SUCCESS", progress=100, data={"pages": [1, 2], "title": "né\n" + "x" * 1000})
    async with FaultProxy(always=stream_of(done)) as proxy:
        program = run(client, "--url", proxy.url, "--task-id", "x")
        assert await asyncio.to_thread(program.wait) == 0
    first, result = program.output.splitlines()
    assert first == "SUCCESS  100 %  m"
    assert result.startswith(r'Result: {"pages":[1,2],"title":"né\nxxx')
    assert len(result) == len("Result: ") + RESULT_CHARACTERS
    assert result.endswith("x…")


@TERMINALS
@ALL
async def test_result_under_the_bar(client: str) -> None:
    """On a terminal the result is shown too."""
    done = snapshot(status="SUCCESS", progress=100, data=[1, {"a": None}])
    code, screen = await show(client, stream_of(done))
    assert code == 0
    assert ("m " if client == "multiple_task.py" else "Result: ") + '[1,{"a":null}]' in screen


@TERMINALS
@pytest.mark.parametrize(
    ("columns", "cells", "encoding", "gap"),
    [(20, 21, "utf-8", "…"), (30, 30, "utf-8", "…"), (80, 80, "ascii", r"\?"), (0, 80, "latin-1", r"\?")],
)
async def test_numbers_of_long_names(
    monkeypatch: pytest.MonkeyPatch, server: Server, columns: int, cells: int, encoding: str, gap: str
) -> None:
    """The longest name loses its middle, on any terminal: its number tells tasks apart."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    flags = ("--url", server.url, "--count", "3", "--seconds", "0.2", "--name", "A " + "東京" * 49)
    code, screen = await asyncio.to_thread(run_in_terminal, "multiple_task.py", *flags, columns=columns)
    assert code == 0
    last = without_colours(screen).splitlines()[-4:]
    for number, line in zip((1, 2, 3), last[:3], strict=True):
        assert re.match(rf"A.*{gap}.* {number} ", line), last
        assert "100 %" in line
    assert all(cell_len(line) < cells for line in last)


@TERMINALS
@ONE
def test_bars(server: Server, client: str) -> None:
    """On a terminal there are bars, and names still are text."""
    flags = ("--url", server.url, "--seconds", "1", "--name", "[red]x[/red]\x1b[2J")
    code, screen = run_in_terminal(client, *flags)
    assert code == 0, screen
    assert "━" in screen
    assert r"[red]x[/red]\x1b[2J" in screen
    assert "\x1b[2J" not in screen
    assert "100 %" in screen
    assert re.search(r"\d s left", screen)
    assert re.search(r"took \d s", screen)
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")  # the cursor is back


@TERMINALS
@ALL
def test_suspended_and_terminated(server: Server, client: str) -> None:
    """Ctrl-Z stops and SIGTERM ends a client as any program, but both of them with a cursor."""
    steps = (("STARTED", suspend), ("\x1b[?25l", subprocess.Popen.terminate))
    code, screen = run_in_terminal(client, "--url", server.url, "--seconds", "60", steps=steps)
    assert code == -signal.SIGTERM
    assert re.findall(r"\x1b\[\?25(.)", screen) == ["l", "h", "l", "h"]


@TERMINALS
@ALL
async def test_a_bad_end(client: str) -> None:
    """What a task has failed of stands there in full, and once: its row has no place for a sentence."""
    sentence = "The file a.csv has 17 columns where 16 were expected, in line 1,204. " * 3
    code, screen = await show(client, stream_of(snapshot(status="FAILURE", message=sentence)), columns=120)
    assert code == 1
    assert screen.count(sentence) == 1
    assert screen.count("a.csv") == 3


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "15 s left"),
        ({"progress": 0}, "25 s"),
        ({"steps": [{"total": 2}]}, "15 s left"),
        ({"steps": [{"total": 2}, {"total": None}]}, "25 s"),
        *[({"steps": odd}, "") for odd in (7, [7], {"total": 1})],
        ({"status": "SUCCESS", "progress": 100}, "took 20 s"),
        ({"started_at": None}, ""),
        ({"started_at": "soon"}, ""),
        ({"started_at": 7}, ""),
        ({"started_at": "9999-12-31T23:59:59+00:00"}, "0 s left"),
        ({"started_at": "2026-01-31T12:00:00"}, ""),
    ],
)
def test_time_left(fields: dict[str, object], text: str) -> None:
    """The time left is told by what the server says, and by how long ago that was."""
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)
    times = {
        "started_at": start.isoformat(),
        "updated_at": (start + timedelta(seconds=20)).isoformat(),
    }
    assert time_left({**snapshot(), **times, **fields}, 5) == text


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59.4, "59 s"), (125, "2 min 05 s"), (5400, "1 h 30 min")]
)
def test_durations(seconds: float, words: str) -> None:
    """Durations are in words, as on the page."""
    assert duration(seconds) == words


@TERMINALS
def test_more_tasks_than_lines(server: Server) -> None:
    """While there are more tasks than lines the display says how many; at the end all are shown."""
    flags = ("--url", server.url, "--count", "20", "--seconds", "1", "--no-output")
    code, screen = run_in_terminal("multiple_task.py", *flags, lines=10)
    assert code == 0
    assert "… and 13 more" in screen
    *rows, totals = without_colours(screen).splitlines()[-21:]
    assert totals.startswith("20 tasks: 20 SUCCESS")
    assert [row.split("━")[0].split() for row in rows] == [["Task", str(number)] for number in range(1, 21)]


@TERMINALS
@ONE
async def test_the_reason_comes_last(client: str) -> None:
    """On a terminal the reason for which a client ends stands below the bar."""
    refusal = Answer(403, (), '{"detail":"Go away"}')
    code, screen = await show(client, stream_of(snapshot(), before="retry: 1\n"), refusal)
    assert code == 2
    assert "━" in screen
    assert "says no (403): Go away" in screen.splitlines()[-1]


def test_totals_after_giving_up(run: Run, start_server: Callable[..., Server]) -> None:
    """Tasks that were given up, or refused, are counted as that and not by the last status they had."""
    server = start_server("--max-tasks", "2")
    flags = ("--count", "3", "--seconds", "600", "--patience", "0")
    program = run("multiple_task.py", "--url", server.url, *flags)
    for _ in range(3):  # in any order
        program.wait_for("All 2 places|STARTED")
    server.stop()
    assert program.wait() == 2
    assert program.output.endswith("\n3 tasks: 2 given up, 1 refused\n")


@TERMINALS
@ALL
async def test_given_up_on_a_terminal(client: str) -> None:
    """The row of a task that was given up says so, not that it reconnects; half a line is output too."""
    first = Raw(stream_of(snapshot()).answer + event(2, {"text": "half a line"}, "output").encode())
    code, screen = await show(client, first, Raw(b""), flags=("--patience", "0.3"))
    assert code == 2
    assert "half a line" in screen
    rows = [line for line in screen.splitlines() if "━" in line]
    assert "given up" in rows[-1]
    assert "Reconnecting" not in rows[-1]
    assert "1 task: 1 given up" in screen or client != "multiple_task.py"


@pytest.mark.parametrize(
    ("steps", "message", "shown", "moving"),
    [
        ([["Files", 2, 4], ["Pages", 3, 5]], "Pages: 3 of 5", "Files 2/4 › Pages 3/5", False),
        ([["Files", 2, 4], ["Pages", 3, 5]], "Reading", "Files 2/4 › Pages 3/5 · Reading", False),
        ([["Files", 2, 4]], "Files: 2 of 4", "Files: 2 of 4", False),
        ([["A", 1204, None, "lines"], ["M", 31e5, 12e6, "B"]], "M: 3", "A 1,204 lines › M 3.1/12 MB", True),
        ([["\x1b", 1, None], ["B", 2, 5]], "", "\\x1b 1 › B 2/5 · ", True),
        ([], "Started", "Started", True),
        ([["A", "many", None], ["B", None, {}]], "Odd", "Odd", True),
        ([["A", 10**400, 1], ["B", 10**400, 1, "B"]], "Huge", "Huge", False),
        (None, "Old", "Old", True),
    ],
)
def test_what_is_counted(steps: list[list[object]] | None, message: str, shown: str, moving: bool) -> None:
    """Steps in one another are shown as a path; the bar pulses while nobody knows how far it is."""
    names = ("label", "done", "total", "unit")
    each = snapshot(status="PROGRESS", progress=0, message=message)
    if steps is not None:
        each["steps"] = [dict(zip(names, step, strict=False)) for step in steps]
    assert message_of(each) == shown
    assert is_moving(each) == moving
    assert not is_moving({**each, "status": "SUCCESS"})
