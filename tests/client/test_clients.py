"""What the three clients promise, each run as people run it."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest
import requests

from taskstream.client.protocol import Rejected, ServerError
from taskstream.client.retrying import Retrying
from tests.client.running import (
    ALL,
    ONE,
    PYTHON,
    AsyncClient,
    Run,
    event,
    refused,
    snapshot,
    start_task,
    status_of,
    stream_of,
)
from tests.support.faults import CutAt, FaultProxy, Raw, Stall
from tests.support.programs import ROOT, Server

StartServer = Callable[..., Server]


FIVE_STEPS = [
    "PENDING    0 %  Waiting to start",
    "STARTED    0 %  Started",
    "PROGRESS  20 %  Step 1 of 5",
    "PROGRESS  40 %  Step 2 of 5",
    "PROGRESS  60 %  Step 3 of 5",
    "PROGRESS  80 %  Step 4 of 5",
    "PROGRESS  99 %  Step 5 of 5",
    "SUCCESS  100 %  Done",
]
"""What is printed of a task in five steps, watched from its beginning."""

WORKS = "'simulated', 'scraping', 'flood', 'hot_loop', 'sleep', 'odd', 'speech' or 'go_on'"
SAID = [
    event(2, {"text": 5}, "output"),
    event(2, {}, "output"),
    "id: 2\nevent: output\ndata: [\n\n",
    'event: lost\ndata: {"from":null,"to":90}\n\n',
]
"""Events that no server of ours sends."""
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><h1>Hello</h1>"


@ALL
def test_success(run: Run, server: Server, client: str) -> None:
    """Where to see each task, a line for each event, with its name if there are many; exit code 0."""
    many = client == "multiple_task.py"
    flags = ("--seconds", "0.3", "--steps", "5", *(("--count", "3") if many else ()))
    program = run(client, "--url", server.url, *flags)
    assert program.wait() == 0
    lines = program.output.splitlines()
    for name in ("Task 1: ", "Task 2: ", "Task 3: ") if many else ("",):
        first, *rest = [line.removeprefix(name) for line in lines if line.startswith(name)]
        assert re.fullmatch(re.escape(server.url) + "/#[0-9a-f]{32}", first)
        assert rest == FIVE_STEPS
    assert lines[-1] == "3 tasks: 3 SUCCESS" or not many


@ALL
def test_failure(run: Run, server: Server, client: str) -> None:
    """A task that fails: its message, and exit code 1."""
    program = run(client, "--url", server.url, "--seconds", "0.1", "--fail-at", "50")
    assert program.wait() == 1
    assert "FAILURE   50 %  Failed on purpose at 50 %\n" in program.output


@ALL
def test_cancelled(run: Run, server: Server, client: str) -> None:
    """A task that somebody else cancels: exit code 1."""
    task_id = start_task(server, seconds=600)
    program = run(client, "--url", server.url, "--task-id", task_id)
    program.wait_for("STARTED")
    requests.post(f"{server.url}/cancel-task/{task_id}", timeout=10)
    assert program.wait() == 1
    assert "REVOKED    0 %  Cancelled\n" in program.output


@ALL
def test_no_server(run: Run, no_server: str, client: str) -> None:
    """No server: one sentence that says what to do, at once, and exit code 2."""
    start = f"{PYTHON} app.py --port {no_server.rpartition(':')[2]}"
    sentence = f"{client}: No answer from {no_server} (Connection refused): start it with: {start}"
    assert refused(run(client, "--url", no_server)) == sentence


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": 0}, "(422): steps: Input should be greater than or equal to 1."),
        ({"work": "dreaming"}, f"(422): work: Input should be {WORKS}."),
        ({"name": "x" * 70_000}, "(413): The body is larger than 64 KiB."),
        ({"x": 1}, "(422): x: Extra inputs are not permitted."),
        ({"work": "speech", "pieces": ["a", 1]}, "(422): pieces.1: Input should be a valid string."),
    ],
)
async def test_refused(
    own_server: Server, either: AsyncClient, fields: dict[str, object], words: str
) -> None:
    """What the server won't have: its reason in words."""
    with pytest.raises(Rejected) as raised:
        await either.start(own_server.url, Retrying(own_server.url), **fields)
    assert str(raised.value) == f"The server at {own_server.url} says no {words}"


NOT_FOUND = {
    "no TLS": ("https://{}", (), r"No answer from {url} \(TLS: [a-z ]+\)"),
    "no such path": (
        "http://{}/nowhere",
        (),
        r"\(404\): there are no tasks .*; is a path prefix missing from",
    ),
    "no id": ("http://{}", ("--task-id", "?"), r"\(404\): Task '\?' not found"),
    "an unknown id": (
        "http://{}",
        ("--task-id", "abc"),
        r"\(404\): Task 'abc' .*: it has never existed or was",
    ),
    "another's": ("http://{}", ("--task-id", "0" * 32), "not found: it was started by another process"),
}


@ONE
@pytest.mark.parametrize(("address", "flags", "sentence"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_not_found(
    run: Run, server: Server, client: str, address: str, flags: tuple[str, ...], sentence: str
) -> None:
    """What isn't there, or is asked for in the wrong way: one sentence that says so, and exit code 2."""
    url = address.format(server.url.removeprefix("http://"))
    said = refused(run(client, "--url", url, *flags))
    assert said.startswith(f"{client}: ")
    assert re.search(sentence.replace("{url}", url), said)


def test_some_refused(run: Run, start_server: StartServer) -> None:
    """If some tasks can't be started the others go on, and the exit code says that not all is well."""
    server = start_server("--max-tasks", "2")
    flags = ("--count", "4", "--seconds", "1", "--patience", "0")
    program = run("multiple_task.py", "--url", server.url, *flags)
    assert program.wait() == 2
    assert program.output.count("says no (503): All 2 places are taken") == 1
    assert program.output.endswith("4 tasks: 2 SUCCESS, 2 refused\n")


@ONE
def test_restarted_server(run: Run, start_server: StartServer, client: str) -> None:
    """A server that restarts has forgotten the task: the client reconnects, and tells its sentence."""
    first = start_server("--retry-milliseconds", "20")
    program = run(client, "--url", first.url, "--seconds", "600")
    program.wait_for("STARTED")
    first.stop()
    program.wait_for("Reconnecting")
    start_server("--port", str(first.port))
    assert program.wait() == 2
    assert re.search(r"\(404\): Task '\w+' not found: .* restarted\.$", program.output.splitlines()[-1])


@ONE
async def test_cut(run: Run, server: Server, client: str) -> None:
    """A connection that is cut, in the middle of an event: no event is missing, none is shown twice."""
    task_id = start_task(server, seconds=0.5, steps=5)
    cuts = (CutAt(b"id: 2\n"), CutAt(b"id: 3\n"), CutAt(b"id: 6\n"))
    async with FaultProxy(server.port, cuts) as proxy:
        program = run(client, "--url", proxy.url, "--task-id", task_id)
        assert await asyncio.to_thread(program.wait) == 0
        sent = [re.search(rb"(?i)last-event-id: (\d+)", request) for request in proxy.requests]
    assert [line for line in program.output.splitlines() if "onnect" not in line] == FIVE_STEPS
    assert [each and int(each[1]) for each in sent] == [None, 1, 2, 5]
    assert program.output.count("Reconnecting (the connection broke) for up to 30 s\n") == 3
    assert program.output.count("Connected again\n") == 3


@ONE
def test_patience(run: Run, start_server: StartServer, client: str) -> None:
    """Without a connection for --patience seconds it gives up, in one sentence, with exit code 2."""
    server = start_server("--retry-milliseconds", "20")
    program = run(client, "--url", server.url, "--seconds", "600", "--patience", "1")
    program.wait_for("STARTED")
    server.stop()
    assert program.wait() == 2
    assert program.output.splitlines()[-1] == (
        f"{client}: Gave up after 1 s without a connection to {server.url} (Connection refused)."
    )
    assert "Traceback" not in program.output


REDIRECT = b"HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n"
LOCATIONS = [b"/again", b"http://.x..y/", b"http://[::1", b"http://\xff\xfe/", b"ftp://localhost/"]
GARBAGE = [
    HTML,
    HTML.replace(b"200 OK", b"404 Not Found"),
    HTML.replace(b"200 OK", b"500 Oh"),
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"task_id":1',
    b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"[" * 400_000,
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: " + b"x" * 5_000_000,
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: \xff\ndata: \xff\n\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"",
    *(REDIRECT % each for each in LOCATIONS),
    *(stream_of(snapshot()).answer + said.encode() for said in SAID),
]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # requests drops what it can't follow
@pytest.mark.parametrize("answer", GARBAGE)
async def test_garbage(either: AsyncClient, answer: bytes) -> None:
    """Whatever it is that answers there, at a start or at a stream: both clients say so in one sentence."""
    async with FaultProxy(always=Raw(answer)) as proxy:
        asking: list[Awaitable[object]] = [
            either.watch(proxy.url, "abc", Retrying(proxy.url, 0)),
            either.start(proxy.url, Retrying(proxy.url, 0)),
        ]
        for each in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(each, ServerError), each
            assert len(str(each).splitlines()) == 1


async def test_missing_fields(either: AsyncClient) -> None:
    """What another version of the server doesn't say of a task has a default."""
    async with FaultProxy(always=stream_of({"task_id": "x", "status": "SUCCESS", "new": 1})) as proxy:
        (seen,) = await either.watch(proxy.url, "x", Retrying(proxy.url, 0))
    assert isinstance(seen, dict)
    assert (seen["name"], seen["progress"], seen["message"], seen["data"]) == ("", 0, "", None)


@ALL
def test_ctrl_c(run: Run, server: Server, client: str) -> None:
    """Ctrl-C ends the client, not the task, and says how to watch that again: exit code 130."""
    program = run(client, "--url", server.url, "--seconds", "600")
    task_id = program.wait_for(r"#([0-9a-f]{32})")[1]
    program.wait_for("STARTED")
    assert program.stop(signal.SIGINT) == 130
    assert status_of(server, task_id) == "STARTED"
    assert f"watch again with: {PYTHON} {client} --url {server.url} --task-id " in program.output
    assert f"--task-id {task_id}" in program.output
    assert "Traceback" not in program.output


@ALL
async def test_ctrl_c_before_the_answer(run: Run, server: Server, client: str) -> None:
    """Ctrl-C while the server starts tasks ends the client too."""
    async with FaultProxy(server.port, always=Stall(0)) as proxy:
        program = run(client, "--url", proxy.url, "--seconds", "0")
        await proxy.stalled.wait()
        assert await asyncio.to_thread(program.stop, signal.SIGINT) == 130
    assert program.output == f"{client}: Interrupted.\n"


@pytest.mark.parametrize(("error", "code"), [("KeyboardInterrupt", 130), ("ServerError", 2)])
def test_ctrl_c_at_the_end(error: str, code: int) -> None:
    """Another Ctrl-C while a client ends, as of a runner that passes it on, doesn't keep it from that."""
    program = INTERRUPTED.replace("ERROR", error)
    command = [sys.executable, "-c", program, "--task-id", "x"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == code
    assert ended.stdout.count("\n") == 1


INTERRUPTED = """
import signal, sys
from taskstream.client.protocol import ServerError
from taskstream.terminal import Terminal, parse_arguments

class Interrupting:
    def write(self, text):
        signal.raise_signal(signal.SIGINT)
        print(text, end="")
    def flush(self): ...

sys.stderr = Interrupting()
with Terminal(parse_arguments("")):
    raise ERROR
"""


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", r"né [red]x[/red] \x1b[31m"), ("ascii", r"n\xe9 [red]x[/red] \x1b[31m")],
)
def test_names(run: Run, server: Server, encoding: str, name: str) -> None:
    """A name is text: it can't colour the terminal, and no encoding is too poor for it."""
    task_id = start_task(server, name="né [red]x[/red] \x1b[31m", seconds=0)
    flags = ("--url", server.url, "--task-id", task_id)
    program = run("multiple_task.py", *flags, PYTHONIOENCODING=encoding)
    assert program.wait() == 0
    assert f"{name}: SUCCESS  100 %  Done\n" in program.output
    assert "\x1b" not in program.output


@pytest.mark.slow
def test_three_hundred(run: Run, server: Server) -> None:
    """Three hundred tasks at once."""
    program = run("multiple_task.py", "--url", server.url, "--count", "300", "--seconds", "2")
    assert program.wait(60) == 0
    assert program.output.endswith("300 tasks: 300 SUCCESS\n")
