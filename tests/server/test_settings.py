"""The settings, as flags and as variables."""

import re
import subprocess
import sys
import traceback
from urllib.request import urlopen

import pytest

from taskstream import TaskStream
from taskstream.server import ServerSettings
from tests.support.programs import Server


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServerSettings.model_fields:
        monkeypatch.delenv(f"TASKSTREAM_{name.upper()}", raising=False)


def test_defaults() -> None:
    """Without flags and variables, the documented defaults count."""
    assert ServerSettings.load([]).model_dump() == {
        "host": "127.0.0.1",
        "port": 8000,
        "redis_url": None,
        "database": None,
        "cors_origins": "*",
        "allowed_hosts": None,
        "access_log": True,
        "retention_seconds": 300,
        "max_tasks": 1000,
        "max_kept": 100_000,
        "max_streams": 10_000,
        "history_length": 1000,
        "history_bytes": 1024 * 1024,
        "output_queue_length": 1000,
        "ping_seconds": 15,
        "stall_seconds": 60,
        "retry_milliseconds": 1000,
        "work_threads": 8,
    }


def test_flags_before_variables_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag wins over a variable, and a variable over a default; uvicorn's flags are not ours."""
    monkeypatch.setenv("TASKSTREAM_PORT", "1")
    monkeypatch.setenv("TASKSTREAM_MAX_TASKS", "2")
    settings = ServerSettings.load(["--port", "3"])
    assert (settings.port, settings.max_tasks, settings.max_streams) == (3, 2, 10_000)
    monkeypatch.setattr("sys.argv", ["uvicorn", "app:app", "--port", "4"])
    settings = ServerSettings.load()
    assert (settings.port, settings.max_tasks) == (1, 2)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--host", ""),
        ("--port", "http"),
        ("--port", "-1"),
        ("--port", "65536"),
        ("--redis-url", ""),
        ("--redis-url", "localhost"),
        ("--redis-url", "http://localhost"),
        ("--redis-url", "redis://localhost:99999"),
        ("--redis-url", "redis://localhost/progress"),
        ("--redis-url", "redis://localhost/0/"),
        ("--redis-url", "redis://localhost?db=2"),
        ("--redis-url", "rediss://localhost/0?ssl_cert_reqs=none&protocol=3"),
        ("--redis-url", "REDIS://localhost"),
        ("--retention-seconds", "-1"),
        ("--retention-seconds", "nan"),
        ("--retention-seconds", "inf"),
        ("--max-tasks", "0"),
        ("--max-streams", "1.5"),
        ("--history-length", "0"),
        ("--history-bytes", "0"),
        ("--output-queue-length", "0"),
        ("--stall-seconds", "0"),
        ("--ping-seconds", "0"),
        ("--retry-milliseconds", "1s"),
        ("--work-threads", "0"),
        ("--cors-origins", "https://example.com/"),
        ("--cors-origins", "example.com"),
        ("--allowed-hosts", "https://example.com"),
        ("--allowed-hosts", "example.com:8000"),
    ],
)
def test_bad_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    """A bad value, by flag or by variable, gets one sentence that names it, and exit code 2."""
    with pytest.raises(SystemExit) as by_flag:
        ServerSettings.load([f"{flag}={value}"])
    sentence = capsys.readouterr().err
    monkeypatch.setenv("TASKSTREAM_" + flag[2:].replace("-", "_").upper(), value)
    with pytest.raises(SystemExit) as by_variable:
        ServerSettings.load()
    assert by_flag.value.code == by_variable.value.code == 2
    assert sentence == capsys.readouterr().err
    assert sentence.count("\n") == 1
    assert flag in sentence
    assert repr(value) in sentence


def test_unknown_flag() -> None:
    """A flag that doesn't exist gets exit code 2."""
    with pytest.raises(SystemExit) as error:
        ServerSettings.load(["--prot", "80"])
    assert error.value.code == 2


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names every setting with its variable and its default."""
    with pytest.raises(SystemExit) as end:
        ServerSettings.load(["--help"])
    assert not end.value.code
    text = " ".join(capsys.readouterr().out.split())
    for name, field in ServerSettings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text
        assert f"TASKSTREAM_{name.upper()}" in text
        assert field.default is None or f"(default: {field.default})" in text


def test_redis_without_its_libraries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Redis URL without what it needs gets a sentence that says how to install that."""
    for url in ("redis://localhost", "rediss://:a@host/1?ssl_cert_reqs=none&ssl_ca_certs=a.pem"):
        assert ServerSettings.load(["--redis-url", url]).redis_url == url
    monkeypatch.setattr("taskstream.settings.find_spec", lambda name: name != "celery" or None)
    with pytest.raises(SystemExit) as end:
        ServerSettings.load(["--redis-url", "redis://localhost"])
    assert end.value.code == 2
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    assert "pip install -r requirements-redis.txt" in sentence


def test_memory_needs_no_redis() -> None:
    """Without a Redis URL, neither Celery nor redis-py is imported."""
    script = "import sys, app; print({'celery', 'kombu', 'redis'} & sys.modules.keys())"
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    assert output == "set()\n"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@redis.internal/zero",
        "redis://user:s3cret@host:99999",
        "rediss://:s3cr@t/s3cret@host/x",
        "http://:s3cret@host",
        "redis:/:s3cret@host",
        "redis://host/x?password=s3cret&db=1",
    ],
)
def test_passwords_are_never_printed(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """Nor shown by an exception of ours, or of pydantic's that is its cause."""
    with pytest.raises(SystemExit):
        ServerSettings.load(["--redis-url", url])
    sentence = capsys.readouterr().err
    assert "--redis-url" in sentence
    with pytest.raises(ValueError, match="redis_url") as error:
        TaskStream(redis_url=url)
    for text in (sentence, "".join(traceback.format_exception(error.value))):
        assert "s3cr" not in text.replace(f"redis_url={url!r}", "")
        assert "host" in text or "redis.internal" in text


def test_settings_without_passwords() -> None:
    """Settings can be logged."""
    settings = ServerSettings.load(["--redis-url", "redis://:s3cret@host/0"])
    for text in (repr(settings), str(settings), repr(TaskStream(redis_url=settings.redis_url).settings)):
        assert "s3cret" not in text


@pytest.mark.parametrize(("flags", "lines"), [((), 2), (("--no-access-log",), 0)])
def test_access_log(flags: tuple[str, ...], lines: int) -> None:
    """A line for each request is printed, unless it is turned off."""
    with Server(*flags) as server:
        for _ in range(2):
            urlopen(f"{server.url}/health?a=%0Ab").close()
        server.stop()
        said = re.findall(
            r'^INFO:     127.0.0.1:\d+ - "GET /health\?a=%0Ab HTTP/1.1" 200$', server.output, re.MULTILINE
        )
    assert len(said) == lines
