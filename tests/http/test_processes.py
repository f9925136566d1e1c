"""Several processes without anything in common are told, and so is each id of another one."""

import logging
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from taskstream import TaskNotFound, TaskStream
from taskstream.http.servers import warn_of_many
from tests.support.programs import OwnApp

MINE = """
from fastapi import FastAPI
from taskstream import TaskStream

tasks = TaskStream()

@tasks.work
def nothing() -> None: ...

app = FastAPI()
app.include_router(tasks.router)
"""

OF_ANOTHER = "it was started by another process of this application"


@pytest.mark.parametrize(
    ("program", "arguments", "environment", "count"),
    [
        ("/usr/bin/uvicorn", ["mine:app", "--workers", "4"], {}, 4),
        ("uvicorn/__main__.py", ["mine:app", "--workers=2"], {}, 2),
        ("/usr/bin/uvicorn", ["mine:app"], {"WEB_CONCURRENCY": "3"}, 3),
        ("/usr/bin/uvicorn", ["mine:app", "--workers", "1"], {"WEB_CONCURRENCY": "3"}, 1),
        ("/usr/bin/gunicorn", ["-w", "5", "mine:app"], {}, 5),
        ("/usr/bin/gunicorn", ["-w6", "mine:app"], {}, 6),
        ("/usr/bin/gunicorn", ["mine:app"], {"GUNICORN_CMD_ARGS": "--workers 7"}, 7),
        ("/usr/bin/gunicorn", ["-w", "8", "mine:app"], {"GUNICORN_CMD_ARGS": "-w 1"}, 8),
        ("/usr/bin/fastapi", ["run", "--workers", "2"], {}, 2),
        ("/usr/bin/uvicorn", ["mine:app"], {"WEB_CONCURRENCY": "auto"}, 1),
        ("/fastapi/bin/hypercorn", ["-w", "2", "mine:app"], {"WEB_CONCURRENCY": "8"}, 2),
        ("granian/__main__.py", ["mine:app"], {"WEB_CONCURRENCY": "8"}, 1),
        ("/usr/bin/uvicorn", ["mine:app"], {}, 1),
        ("app.py", [], {"WEB_CONCURRENCY": "3"}, 1),
        ("own.py", ["--workers", "3"], {}, 1),
    ],
)
def test_where_it_shows(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    program: str,
    arguments: list[str],
    environment: dict[str, str],
    count: int,
) -> None:
    """What the command line or the environment of a server says is told when it starts."""
    for name in ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"):
        monkeypatch.setenv(name, environment.get(name, ""))
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    warn_of_many()
    assert ([f"There are {count} processes"] if count > 1 else []) == [
        message[: len(f"There are {count} processes")] for message in caplog.messages
    ]


@pytest.mark.slow
async def test_two_workers(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """With `--workers 2` the start says it; and whoever asks the wrong process is told the reason."""
    with OwnApp(tmp_path, MINE, "--workers", "2") as server:
        server.wait_for("There are 2 processes of this application")
        task_id = ""
        while not task_id:  # the address is printed before anybody listens there
            with suppress(aiohttp.ClientConnectorError):
                async with session.post(f"{server.url}/start-task") as response:
                    task_id = (await response.json())["task_id"]
        statuses: set[int] = set()
        while len(statuses) < 2:  # each connection is one of the two's
            async with session.get(
                f"{server.url}/tasks/{task_id}", headers={"Connection": "close"}
            ) as response:
                statuses.add(response.status)
                if response.status == 404:
                    assert OF_ANOTHER in (await response.json())["detail"]
        server.wait_for(OF_ANOTHER)


async def test_after_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    """An id of before is told for what it is, in the log once; one that is forgotten, or none, as ever."""
    tasks = TaskStream(retention_seconds=60)

    @tasks.work
    async def nothing() -> None: ...

    with caplog.at_level(logging.WARNING):
        async with tasks:
            before = (await tasks.start("nothing")).task_id
        async with tasks:
            mark = (await tasks.start("nothing")).task_id[-8:]
            for _ in range(2):
                with pytest.raises(TaskNotFound, match=OF_ANOTHER):
                    await tasks.get(before)
            for unknown in ("0" * 24 + mark, "x", before.upper(), ""):
                with pytest.raises(TaskNotFound, match="it has never existed or was forgotten 60 s after"):
                    await tasks.get(unknown)
    assert [OF_ANOTHER in message for message in caplog.messages] == [True]
