"""The modules without a browser: their tests under Node's own runner."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

from taskstream.client.parser import Event
from tests.client.test_event_source import RETRIES, STREAMS
from tests.support.backends import require

TESTS = Path(__file__).parent / "node"


def text(value: bytes) -> str:
    """Bytes, as JSON can carry them."""
    return base64.b64encode(value).decode()


def in_javascript(event: Event) -> dict[str, str]:
    """An event, as the parser in JavaScript makes it."""
    return {"type": event.type, "data": event.data, "lastEventId": event.last_event_id}


def run_node(path: Path, **environment: str) -> None:
    """Run tests under Node's runner. Fails with what it says."""
    done = subprocess.run(
        [require("node"), "--test", "--test-timeout=240000", str(path)],  # one that hangs fails
        env={**os.environ, "NODE_NO_WARNINGS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout


def test_the_parser(tmp_path: Path) -> None:
    """The parser passes the table of the Python one, split anywhere."""
    table = {
        "streams": [
            {"name": name, "stream": text(stream), "events": list(map(in_javascript, events))}
            for name, (stream, events) in STREAMS.items()
        ],
        "retries": [
            {"value": text(value), "milliseconds": None if seconds is None else seconds * 1000}
            for value, seconds in RETRIES.items()
        ],
    }
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    run_node(TESTS / "parser.test.mjs", TABLE=str(path))


@pytest.mark.slow
def test_the_source() -> None:
    """What `task-source.js` promises holds against a server that does to it what networks do."""
    run_node(TESTS / "source.test.mjs")
