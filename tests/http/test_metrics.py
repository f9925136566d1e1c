"""`GET /metrics`: what has happened, counted."""

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Start
from tests.support.api import LONG_TASK, Api, events
from tests.support.backends import RedisServer, Worker, sharing_server
from tests.support.programs import Server

Samples = dict[str, float]


async def samples(api: Api) -> Samples:
    """All samples: by name, and the value of the label if there is one."""
    async with api.session.get(api.url("/metrics")) as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        families = list(text_string_to_metric_families(await response.text()))
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


async def test_metrics(session: aiohttp.ClientSession) -> None:
    """Tasks by status, events published and delivered, streams by how they ended."""
    with Server() as server:
        api = Api(session, [server.url])
        seen = await api.watch((await api.start(seconds=0, steps=3))["task_id"])
        running = (await api.start(**LONG_TASK))["task_id"]
        async with api.open(f"/task-progress/{running}") as response:
            stream = events(response)
            await anext(stream)
            now = await samples(api)
            assert now["taskstream_streams_open"] == 1
        while now["taskstream_streams_open"]:
            now = await samples(api)
        assert now["taskstream_tasks SUCCESS"] == 1
        assert now["taskstream_tasks FAILURE"] == 0
        assert now["taskstream_streams_opened_total"] == 2
        assert now["taskstream_streams_closed_total ended"] == 1
        assert now["taskstream_streams_closed_total left"] == 1
        assert now["taskstream_events_published_total"] >= len(seen) + 2
        delivered = now["taskstream_events_delivered_total"]
        assert len(seen) < delivered <= now["taskstream_events_published_total"]
        assert now["taskstream_bytes_delivered_total"] > 200 * len(seen)
        assert now["taskstream_streams_behind"] == 0


@pytest.mark.slow
async def test_metrics_with_redis(start: Start, session: aiohttp.ClientSession) -> None:
    """A server leaves out what it does not count: events that workers publish."""
    redis = start(RedisServer())
    api = Api(session, [start(sharing_server(redis.url)).url])
    start(Worker(redis.url, processes=1))
    seen = await api.watch((await api.start(seconds=0, steps=3))["task_id"])
    now = await samples(api)
    assert now["taskstream_tasks SUCCESS"] == 1
    assert now["taskstream_events_delivered_total"] == len(seen)
    assert "taskstream_events_published_total" not in now
