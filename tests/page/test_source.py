"""The modules without a browser: their tests under Node's own runner."""

import base64
import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from taskstream.client.parser import Event
from tests.client import test_event_source
from tests.support.backends import require

(RETRY,) = test_event_source.test_retry.pytestmark  # type: ignore[attr-defined]
STREAMS, RETRIES = test_event_source.STREAMS, RETRY.args[1]

SUITES = {
    "a NUL is data, and no field": (b"data:\0\ndata\0:2\n\0data:3\nda-ta:4\ndata_5\n\n", ["\0"]),
    "blank lines after an event": (b"data:\0\n\n\n\n", ["\0"]),
    "space before a field": (b"data:1\n data:2\rData:3\ndata:4\rdata:\r\n data:5\n\n", ["1\n4\n"]),
    "a tab is no space": (b"data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]),
    "every end of a line": (b"data:test\r\ndata\ndata:test\r\n\r", ["test\n\ntest"]),
    "comments among data": (
        b"data:1\r:\0\n:\r\ndata:2\n:xxxx\rdata:3\n:data:x\r:x\ndata:4\n\n",
        ["1\n2\n3\n4"],
    ),
    "two BOMs, one behind an event": ("\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\n\n".encode(), ["1", "3"]),
    "no blank line at the end": (b"retry:1000\ndata:test1\n\nid:test\ndata:test2", ["test1"]),
    "a type of one space": (b"event: \ndata:data\n\n", ["data"]),
    "words that are no field": (b"data:1\n data\ndata\nx:y\nz\n:c\ndata:2\n\n", ["1\n\n2"]),
    "retry without a value, and with a bad one": (b"retry\nretry:3000\nretry:1000x\ndata:1\n\n", ["1"]),
    "an escaped blank line": (rb'data: {"a":"\n\n"}' + b"\n\n", [r'{"a":"\n\n"}']),
    "the word of some models": (b"data: {}\n\ndata: [DONE]\n\n", ["{}", "[DONE]"]),
}
"""What the eventsource cases of web-platform-tests, and tests of clients for models, find out."""
IN_SUITES = {
    name: (stream, [Event("message", each, "") for each in data]) for name, (stream, data) in SUITES.items()
}

TESTS = Path(__file__).parent / "node"


def text(value: bytes) -> str:
    """Bytes, as JSON can carry them."""
    return base64.b64encode(value).decode()


def in_javascript(event: Event) -> dict[str, str]:
    """An event, as the parser in JavaScript makes it."""
    fields = asdict(event)
    return {"type": fields["type"], "data": fields["data"], "lastEventId": fields["last_event_id"]}


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
            for name, (stream, events) in (STREAMS | IN_SUITES).items()
        ],
        "retries": [
            {"value": text(value), "milliseconds": None if seconds is None else seconds * 1000}
            for value, seconds in RETRIES
        ],
    }
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    run_node(TESTS / "parser.test.mjs", TABLE=str(path))


@pytest.mark.slow
def test_the_source() -> None:
    """What `task-source.js` promises holds against a server that does to it what networks do."""
    run_node(TESTS / "source.test.mjs")
