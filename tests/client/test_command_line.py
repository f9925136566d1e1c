"""What the flags of the clients mean, and what is said of those that are wrong."""

import os
import shlex
import socket
import ssl
import sys
from pathlib import Path

import pytest

from taskstream.client.protocol import NoServer, server_url
from taskstream.terminal.command_line import advice, parameter, parse_arguments, python_command
from tests.client.running import Run
from tests.support.programs import ROOT


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--seconds", "soon"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["--steps", "1.5"], "--steps"),
        (["--url", "ftp://localhost"], "--url"),
        (["--task-id", "a", "--name", "b"], "--task-id"),
        (["--task-id", "a", "--task-id", ""], "argument --task-id: it is empty"),
        (["--colour", "red"], "--colour"),
        (["--param", "start"], "--param"),
        (["--param", "=3"], "--param"),
        (["--param", "a=1", "--param", "a=2"], "a"),
        (["--param", "steps=1", "--steps", "2"], "steps"),
        (["--param", "a=1", "--task-id", "b"], "--task-id"),
        (["--count", "0"], "argument --count: '0' is not a whole number, 1 to 1000 (see --help)"),
        (["--count", "x"], "'x' is not a whole number, 1 to 1000"),
        (["--count", "1001"], "'1001' is not a whole number, 1 to 1000"),
        (["--patience", "-1"], "argument --patience: '-1' is not a number of seconds, 0 or more"),
        (["--header", "secret"], "NAME:VALUE"),
        (["--header", "a b:secret"], "NAME:VALUE"),
        (["--header", "a:secret\r\nb:c"], "NAME:VALUE"),
    ],
)
def test_bad_flags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    """A flag that makes no sense: one sentence, which doesn't repeat what may be a secret, and code 2."""
    monkeypatch.setattr("sys.argv", ["client.py", *flags])
    with pytest.raises(SystemExit) as end:
        parse_arguments("A client.", many=True)
    sentence = capsys.readouterr().err
    assert end.value.code == 2
    assert sentence.startswith("client.py: ")
    assert words in sentence
    assert sentence.count("\n") == 1
    assert "secret" not in sentence


def test_repeated_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is watched once, however often it is named."""
    monkeypatch.setattr("sys.argv", ["client.py", "--task-id=b", "--task-id=a", "--task-id=b"])
    assert parse_arguments("A client.", many=True).task_ids == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=3", 3),
        ("a=0.5", 0.5),
        ("a=true", True),
        ("a=null", None),
        ("a=hello", "hello"),
        ('a="3"', "3"),
        ("a=", ""),
        ("a=b=c", "b=c"),
        ('a={"b":[1,{}]}', {"b": [1, {}]}),
        ("a={b", "{b"),
        ("a=NaN", "NaN"),
        ("a=-Infinity", "-Infinity"),
        ("a=1e400", "1e400"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_parameters(text: str, value: object) -> None:
    """A value is JSON where it is JSON, and text where it isn't."""
    assert parameter(text) == ("a", value)


def test_help(run: Run) -> None:
    """The help tells the defaults that count, and claims no list of works."""
    words = {}
    for client in ("client.py", "multiple_task.py"):
        program = run(client, "--help")
        assert program.wait() == 0
        words[client] = " ".join(program.output.split())
        assert "one of those that GET /works lists (default: simulated)" in words[client]
        assert "--param NAME=VALUE" in words[client]
        assert """text that is JSON too goes in quotes of its own: label='"5"'""" in words[client]
    assert "at most 100 characters (default: the name of its work)" in words["client.py"]
    assert "at most 100 characters (default: Task, numbered)" in words["multiple_task.py"]


@pytest.mark.parametrize(
    ("executable", "words"),
    [
        ("{here}/.venv/bin/python", [".venv/bin/python"]),
        ("{here}/a folder/python", ["a folder/python"]),
        ("/usr/bin/python3", ["/usr/bin/python3"]),
        ("", ["python"]),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows quotes in another way")
def test_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, executable: str, words: list[str]
) -> None:
    """A command that is printed works when it is pasted: the interpreter's path, and quotes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", executable.format(here=tmp_path))
    command = python_command("my client.py", "--url", "http://a/b?c&d")
    expected = [word.format(here=tmp_path) for word in words]
    assert shlex.split(command) == [*expected, "my client.py", "--url", "http://a/b?c&d"]


REFUSED = ConnectionRefusedError()


@pytest.mark.parametrize(
    ("cause", "url", "what_to_do"),
    [
        (REFUSED, "http://localhost:8000", f"start it with: {{python}} {ROOT / 'app.py'}"),
        (REFUSED, "http://127.0.0.1:81/a", f"start it with: {{python}} {ROOT / 'app.py'} --port 81"),
        (REFUSED, "http://a:8000", "check --url."),
        (socket.gaierror(), "http://localhost:8000", "check --url."),
        (REFUSED, "https://a", "check --url, and the proxy in HTTPS_PROXY."),
        (
            ssl.SSLCertVerificationError(),
            "https://localhost",
            "check --url, and the certificate, whose authority SSL_CERT_FILE can name.",
        ),
    ],
)
def test_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cause: Exception, url: str, what_to_do: str
) -> None:
    """A server of this machine is to be started, by a path that leads there from another folder too."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / "client.py")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    error = NoServer("No.")
    error.__cause__ = cause
    assert advice(error, url) == f"No: {what_to_do}".format(python=shlex.quote(sys.executable))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost", "http://localhost"),
        ("localhost:8000", "http://localhost:8000"),
        (" localhost:8000/ ", "http://localhost:8000"),
        (":8000", "http://localhost:8000"),
        ("8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000/#0123", "http://localhost:8000"),
        ("http://localhost:8000/?a=b", "http://localhost:8000"),
        ("HTTP://localhost:8000", "http://localhost:8000"),
        ("http:/localhost:8000", "http://localhost:8000"),
        ("https://example.com", "https://example.com"),
        ("https://example.com/a/prefix/", "https://example.com/a/prefix"),
        ("example.com/a b/é", "http://example.com/a%20b/%C3%A9"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("http://me:secret@localhost/", "http://me:secret@localhost"),
        ("http://münchen.example", "http://münchen.example"),
    ],
)
def test_urls(text: str, url: str) -> None:
    """An address in any form that people type, or copy from the page."""
    assert server_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "ftp://localhost", "http://http://localhost", "local host", "a..b", "\x1b[2J"),
        *("localhost:port", "localhost:99999", "localhost:0", "[::1", "http://[x]:1"),
    ],
)
def test_impossible_urls(text: str) -> None:
    """What can't be an address is refused in words."""
    with pytest.raises(ValueError, match="is no address of a server"):
        server_url(text)
