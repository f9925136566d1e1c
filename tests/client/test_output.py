"""What tasks say beside how far they are: on a terminal, in a pipe, and in a program of one's own."""

import asyncio
import json
import os
import shlex
import subprocess
import sys

import aiohttp
import pytest

import client as async_client
from taskstream.client.retrying import Retrying
from taskstream.terminal.text import events_gone, for_terminal
from tests.client.running import (
    ALL,
    ONE,
    TERMINALS,
    AsyncClient,
    event,
    run_in_terminal,
    show,
    snapshot,
    stream_of,
    without_colours,
)
from tests.support.faults import FaultProxy, Raw
from tests.support.programs import ROOT, Server

PIECES = ["né\r\n", "東", "京 \x1b[3", "1mred\x1b[0m\t!\n", "\n", "\x1b]0;title\x07\x9b2J\u2028 → no end"]
TEXT = "".join(PIECES)
ON_A_TERMINAL = ["né", "東京 red  !", "", r"\x9b2J\u2028 → no end"]
SPEECH = ("--work", "speech", "--param", f"pieces={json.dumps(PIECES)}")

PIECE = event(2, {"text": "a\n"}, "output")
LOST = 'event: lost\ndata: {"from":8,"to":90}\n\n'


def run_in_pipes(*arguments: str) -> tuple[int, bytes, str]:
    """The exit code of a program, and what it has written to stdout and to stderr, both of them pipes."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=30,
        env={"PYTHONIOENCODING": "utf-8", **os.environ},
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr.decode()


@ONE
def test_pipe(own_server: Server, monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    """In a pipe the output is there byte by byte, in UTF-8 whatever the locale; all else is on stderr."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code, output, other = run_in_pipes(client, "--url", own_server.url, *SPEECH)
    assert (code, output) == (0, TEXT.encode())
    address, *lines = other.splitlines()
    assert address.startswith(f"{own_server.url}/#")
    progress = [f"PROGRESS  {percent} %" for percent in (17, 50, 83)]
    assert [line[:14] for line in lines] == [
        "PENDING    0 %",
        "STARTED    0 %",
        *progress,
        "SUCCESS  100 %",
    ]


def test_pipe_of_many(own_server: Server) -> None:
    """The output of many tasks is in whole lines, each with the name of its task, in no filtered form."""
    flags = ("--count", "3", "--name", "x\n", *SPEECH)
    code, output, other = run_in_pipes("multiple_task.py", "--url", own_server.url, *flags)
    assert code == 0
    lines = output.decode().split("\n")
    for number in (1, 2, 3):
        name = rf"x\n {number}: "
        said = [line.removeprefix(name) for line in lines if line.startswith(name)]
        assert said == TEXT.split("\n")
    assert lines[-1] == ""
    assert other.endswith("3 tasks: 3 SUCCESS\n")


@TERMINALS
@ALL
def test_terminal(own_server: Server, client: str) -> None:
    """On a terminal whole lines stand above the bars, harmless and without their colours."""
    code, screen = run_in_terminal(client, "--url", own_server.url, *SPEECH)
    assert code == 0
    lines = [line.rstrip() for line in without_colours(screen).splitlines()]
    names = [f"Task {number}: " for number in range(1, 6)] if client == "multiple_task.py" else [""]
    for name in names:
        said = [f"{name}{line}".rstrip() for line in ON_A_TERMINAL]
        assert [line for line in lines if line in said and line] == [line for line in said if line]
    assert "100 %" in lines[-1] or "SUCCESS" in lines[-1]
    assert "\x1b[31m" not in screen
    assert "\x1b]0;" not in screen


@TERMINALS
@ALL
def test_no_output(own_server: Server, client: str) -> None:
    """With --no-output there is nothing of it, on a terminal or in a pipe."""
    flags = (client, "--url", own_server.url, *SPEECH, "--no-output")
    code, output, other = run_in_pipes(*flags)
    assert (code, output) == (0, b"")
    code, screen = run_in_terminal(*flags)
    assert code == 0
    for shown in (other, screen):
        assert "SUCCESS" in shown
        assert "né" not in shown


def gap() -> tuple[Raw, ...]:
    """A stream that has lost events: it is cut before the next one, then has lost more of them."""
    more = LOST.replace("90", "91")
    done = event(92, {"text": "z"}, "output") + event(93, snapshot(status="SUCCESS", progress=100))
    first = stream_of(snapshot(), before="retry: 1\n")
    return tuple(Raw(first.answer + said.encode()) for said in (LOST, LOST + more, more + done))


@ALL
async def test_lost(client: str) -> None:
    """Events that are gone are told of once, on stderr."""
    async with FaultProxy(faults=gap()) as proxy:
        flags = (client, "--url", proxy.url, "--task-id", "x")
        code, output, other = await asyncio.to_thread(run_in_pipes, *flags)
    name = "n: " if client == "multiple_task.py" else ""
    assert (code, output.rstrip()) == (0, f"{name}z".encode())
    told = [f"{name}… 83 earlier events are gone", f"{name}… 1 earlier event is gone"]
    assert [line for line in other.splitlines() if "gone" in line] == told


def test_a_jump_is_no_number_of_events() -> None:
    """After a restart of Redis the count jumps: nobody is told that a billion events are gone."""
    assert events_gone(2) == "… 2 earlier events are gone"
    assert "may be gone" in events_gone(1_700_000_000_000_000)


@TERMINALS
@ALL
async def test_lost_on_a_terminal(client: str) -> None:
    """On a terminal they are told of above the bars."""
    code, screen = await show(client, *gap())
    assert code == 0
    assert "… 83 earlier events are gone" in screen


@ALL
@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT])
def test_closed_pipe(own_server: Server, client: str, stderr: int) -> None:
    """Output is there at once; `| head -1` ends the client without a complaint, with that of stderr too."""
    forever = ("--param", "times=10000", "--param", "seconds=0.05")
    command = [sys.executable, client, "--url", own_server.url, *SPEECH, *forever]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(b"\n")
        process.stdout.close()
        if process.stderr is not None:
            complaints = process.stderr.read()
            assert b"Error" not in complaints
            assert b"onnect" not in complaints
        assert process.wait(20) == 141


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no full device")
@ALL
@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", 2, "The output can't be written: Bad file descriptor."),
        (">/dev/full", 2, "The output can't be written: No space left on device."),
        ("2>&-", 0, ""),
        ("2>/dev/full", 2, ""),
    ],
)
def test_closed_and_full(own_server: Server, client: str, redirection: str, code: int, said: str) -> None:
    """Output that can't be written is one sentence; without stderr, nothing else gets into the output."""
    command = shlex.join([sys.executable, client, "--url", own_server.url, "--no-output"])
    if redirection[0] == ">":
        command = command.replace("--no-output", shlex.join(SPEECH))
    shell = ["sh", "-c", f"{command} {redirection}"]
    ended = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.endswith(f"{client}: {said}\n" if said else "")
    assert "Traceback" not in ended.stderr


class OwnTimeoutError(TimeoutError):
    """A timeout that asyncio hands on from a thread as it is."""


@pytest.mark.parametrize(
    "error", [ConnectionResetError("no"), OwnTimeoutError("no"), OSError(28, "full")], ids=repr
)
async def test_errors_of_on_output(either: AsyncClient, error: Exception) -> None:
    """What a program's own function raises is handed on, and not taken for a broken connection."""

    def fail(_: str) -> None:
        raise error

    stream = stream_of(snapshot())
    async with FaultProxy(always=Raw(stream.answer + PIECE.encode())) as proxy:
        with pytest.raises(type(error)) as raised:
            await either.watch(proxy.url, "x", Retrying(proxy.url), fail)
        assert raised.value is error
        assert len(proxy.requests) == 1


async def test_output_is_skipped(session: aiohttp.ClientSession) -> None:
    """A program that hands over no function for output gets the snapshots alone."""
    done = event(3, snapshot(status="SUCCESS", progress=100))
    stream = Raw(stream_of(snapshot()).answer + f"{LOST}{PIECE}{done}".encode())
    async with FaultProxy(always=stream) as proxy:
        seen = [each["progress"] async for each in async_client.watch_task(session, proxy.url, "x")]
    assert seen == [50, 100]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[38:2::1:2:3mred\x1b[K", "red"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x07", "link"),
        ("\x1b(B\x1b[mplain\x1b7\x1b#8", "plain"),
        ("\x1b[", r"\x1b["),
        ("\x1bP1$r0m", r"\x1bP1$r0m"),
        ("\x1b]0;no end", r"\x1b]0;no end"),
        ("a\rb\r", "b"),
        ("\r1/2\r\x1b[K\r2/2 \r\r", "2/2 "),
        ("a\tb", "a       b"),
        ("\x1b\x1b[31m[2J", r"\x1b[2J"),
        ("👩\u200d🚀 نمی\u200cخواهم\xa0é", "👩\u200d🚀 نمی\u200cخواهم\xa0é"),
    ],
)
def test_for_terminal(line: str, shown: str) -> None:
    """Colours are left out, and what else a terminal would obey is spelled out."""
    assert for_terminal(line) == shown
