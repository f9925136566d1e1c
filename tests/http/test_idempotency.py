"""`Idempotency-Key`: a start that is sent again starts nothing again."""

import asyncio
import itertools
from collections.abc import Callable

import aiohttp
import pytest

from tests.support.api import LONG_TASK, Api, Snapshot
from tests.support.programs import Server

numbers = itertools.count()


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return f"key {next(numbers)}"


async def start(api: Api, key: str, body: bytes | None = None, status: int = 200) -> Snapshot:
    """The answer to a start with this key, as it stands in the header."""
    answer: Snapshot = await api.json(
        "POST", "/start-task", status, data=body, headers={"Idempotency-Key": key}
    )
    return answer


async def test_one_task(api: Api, key: str) -> None:
    """However often a start is sent, also at the same time, it starts one task, and tells its latest."""
    before = (await api.json("GET", "/health"))["tasks"]
    answers = await asyncio.gather(*(start(api, key, b'{"seconds": 0}') for _ in range(20)))
    (task_id,) = {answer["task_id"] for answer in answers}
    last = (await api.watch(task_id))[-1].snapshot
    assert await start(api, key, b'{"seconds": 0}') == last
    assert (await api.json("GET", "/health"))["tasks"] == before + 1


@pytest.mark.parametrize(
    "same",
    [
        b'{"seconds": 0, "steps": 20, "work": "simulated", "fail_at": null}',
        b'{"work": "simulated", "steps": 20,\n "seconds": 0.0}',
        b'{"seconds": 0e0, "name": "simulated"}',
        b'{"seconds": -0, "name": null}',
        b'{"seconds": 0, "name": ""}',
    ],
)
async def test_the_same_body(api: Api, key: str, same: bytes) -> None:
    """Bodies are the same when they say the same."""
    task = await start(api, key, b'{"seconds": 0}')
    assert (await start(api, key, same))["task_id"] == task["task_id"]


@pytest.mark.parametrize(
    "other",
    [None, b'{"seconds": 1}', b'{"seconds": 0, "work": "scraping"}', b'{"seconds": 0, "name": "another"}'],
)
async def test_another_body(api: Api, key: str, other: bytes | None) -> None:
    """A key that comes with another body is refused, in a list of mistakes as any other."""
    await start(api, key, b'{"seconds": 0}')
    answer = await start(api, key, other, 422)
    assert answer["detail"] == [
        {
            "type": "value_error",
            "loc": ["header", "Idempotency-Key"],
            "msg": "This key was used with other parameters: take a new one for another task",
        }
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("abc{}", '"abc{}"'),
        ('a"b{}', r'"a\"b{}"'),
        (r"a\b{}", r'"a\\b{}"'),
        ("~ !{}", '"~ !{}"'),
        ("x" * 250 + "{}", '"' + "x" * 250 + '{}"'),
    ],
)
async def test_with_or_without_quotes(api: Api, key: str, first: str, second: str) -> None:
    """A key in quotes, as the standard has it, is the same as without."""
    number = key.removeprefix("key ").zfill(5)
    task = await start(api, first.format(number))
    assert (await start(api, second.format(number)))["task_id"] == task["task_id"]
    await api.cancel(task["task_id"])


@pytest.mark.parametrize(
    "bad",
    ["", '""', '"', '"abc', '"a"b"', r'"a\b"', '"abc\\"', "x" * 256, f'"{"x" * 256}"', "a\tb", "ä", "🧀"],
)
async def test_bad_key(api: Api, bad: str) -> None:
    """A key has 1 to 255 printable characters; anything else is refused, and starts nothing."""
    before = (await api.json("GET", "/health"))["tasks"]
    (error,) = (await start(api, bad, status=422))["detail"]
    assert error["loc"] == ["header", "Idempotency-Key"]
    assert error["msg"] == "A key has 1 to 255 printable ASCII characters, in quotes or without"
    assert (await api.json("GET", "/health"))["tasks"] == before


async def test_where_a_key_is_free(
    start_server: Callable[..., Server], session: aiohttp.ClientSession
) -> None:
    """A start that was refused, for its body or for want of room, keeps none; nor does a forgotten task."""
    api = Api(session, [start_server("--max-tasks", "1").url])
    running = (await api.start(**LONG_TASK))["task_id"]
    await start(api, "k", b'{"seconds": -1}', 422)
    await start(api, "k", b'{"seconds": 0}', 503)
    await api.cancel(running)
    first = await start(api, "k", b'{"seconds": 0, "steps": 3}')
    assert (await start(api, "k", b'{"seconds": 0, "steps": 3}'))["task_id"] == first["task_id"]
    await api.watch(first["task_id"])
    await api.watch((await start(api, "other", b'{"seconds": 0}'))["task_id"])  # makes room for itself
    assert (await start(api, "k", b'{"seconds": 0}'))["task_id"] != first["task_id"]
