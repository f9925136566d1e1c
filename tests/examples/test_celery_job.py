"""The example of a job on a Celery queue: with real Redis and a real worker."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.support.backends import RedisServer, Worker
from tests.support.examples import Example, Viewer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def job() -> Iterator[Example]:
    with (
        RedisServer() as redis,
        Worker(redis.url, 2, "examples.celery_job:celery"),
        Example("celery_job", TASKSTREAM_REDIS_URL=redis.url) as example,
    ):
        yield example


async def test_a_job(job: Example, session: aiohttp.ClientSession) -> None:
    """Progress arrives as bare numbers, then the success; a viewer that reconnects gets the rest."""
    viewer = Viewer(session, job.url)
    async with session.post(f"{job.url}/?steps=4&seconds=0.05") as response:
        answer = await response.json()
    assert list(answer) == ["job_id"]
    path = f"/stream/{answer['job_id']}"
    seen = await viewer.see(path)
    assert [(event.event, event.data) for event in seen] == [
        *(("progress", number) for number in ("0", "0", "25", "50", "75", "99")),
        ("success", "Job Succeeded"),
    ]
    assert [event.id for event in seen] == [str(number) for number in range(1, 8)]
    rest = await viewer.see(path, last_event_id="5")
    assert [event.data for event in rest] == ["99", "Job Succeeded"]
    assert await viewer.status(path, "7") == 204
    assert await viewer.status("/stream/unknown") == 404


async def test_without_redis(session: aiohttp.ClientSession) -> None:
    """Without Redis a job is refused with 503 and a sentence."""
    with Example("celery_job", TASKSTREAM_REDIS_URL="redis://127.0.0.1:1") as example:
        async with session.post(example.url) as response:
            assert response.status == 503
            assert (await response.json())["detail"].endswith(".")
