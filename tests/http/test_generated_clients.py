"""Clients that usual generators make of the OpenAPI document compile, and work."""

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.backends import require
from tests.support.node import node_modules  # noqa: F401 - a fixture
from tests.support.programs import Server

pytestmark = pytest.mark.slow

IN_PYTHON = """
import sys
from made.api.default import (
    cancel_task_cancel_task_task_id_post as cancel,
    start_task_start_task_post as start,
    task_status_task_status_task_id_get as status,
    works_works_get as works,
)
from made.client import Client
from made.models import Detail, StartTaskStartTaskPostStartSimulated as Simulated

with Client(base_url=sys.argv[1]) as client:
    first = start.sync(client=client, body=Simulated(seconds=60), idempotency_key="once")
    again = start.sync(client=client, body=Simulated(seconds=60), idempotency_key="once")
    assert again.task_id == first.task_id
    assert {work.name for work in works.sync(client=client)} == {"simulated", "scraping"}
    assert cancel.sync(first.task_id, client=client).status == "REVOKED"
    assert status.sync(first.task_id, client=client).status == "REVOKED"
    assert isinstance(status.sync("0" * 32, client=client), Detail)
"""

IN_TYPESCRIPT = """
import type { components, paths } from "./api.js";
declare const process: { argv: string[] };
type Operation = paths["/start-task"]["post"];
const body: NonNullable<Operation["requestBody"]>["content"]["application/json"] = {
    work: "simulated", seconds: 0, steps: 20,
};
const answer = await fetch(`${process.argv[2]}/start-task`, {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
});
const first: Operation["responses"][200]["content"]["application/json"] = await answer.json();
const known: components["schemas"]["Snapshot"] = first;
console.log(known.status, known.progress satisfies number);
"""


def run(folder: Path, *command: str | Path) -> str:
    """What a program prints that has to succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server, whose document is in the folder."""
    with Server() as server:
        with urlopen(f"{server.url}/openapi.json") as document:
            (tmp_path / "openapi.json").write_bytes(document.read())
        yield server


def test_python(server: Server, tmp_path: Path) -> None:
    """openapi-python-client makes all that can be made of it, and what it makes starts and cancels."""
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    run(tmp_path, binaries / "pip", "install", "-q", "openapi-python-client~=0.29")
    (tmp_path / "config.yml").write_text("post_hooks: []", encoding="utf-8")  # without its formatter
    paths = ("--config", "config.yml", "--path", "openapi.json", "--output-path", "made")
    made = (*paths, "--meta", "none", "--fail-on-warning")
    run(tmp_path, binaries / "python", "-m", "openapi_python_client", "generate", *made)
    (tmp_path / "use.py").write_text(IN_PYTHON, encoding="utf-8")
    run(tmp_path, binaries / "python", "use.py", server.url)


def test_typescript(server: Server, tmp_path: Path, node_modules: Path) -> None:  # noqa: F811 - the fixture
    """What openapi-typescript makes of it compiles strictly, with a start that is answered as it says."""
    tools = node_modules / ".bin"
    run(tmp_path, tools / "openapi-typescript", "openapi.json", "-o", "api.ts")
    (tmp_path / "use.mts").write_text(IN_TYPESCRIPT, encoding="utf-8")
    kind = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom")
    run(tmp_path, tools / "tsc", *kind, "use.mts", "api.ts")
    assert run(tmp_path, require("node"), "use.mjs", server.url) == "PENDING 0\n"
