"""What tutorials make of Celery and SSE: the task publishes, and each viewer's stream subscribes.

    celery -A benchmarks.peers.celery_pubsub:celery worker
    uvicorn benchmarks.peers.celery_pubsub:app

Whoever comes late, or is cut off, has missed what was published before. REDIS_URL names Redis.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from celery import Celery, Task
from fastapi import FastAPI
from pydantic import BaseModel
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from sse_starlette import EventSourceResponse

URL = os.environ["REDIS_URL"]

celery = Celery("naive", broker=URL)
celery.conf.task_ignore_result = True
publisher = Redis.from_url(URL)
subscriber = AsyncRedis.from_url(URL)
app = FastAPI()


class Start(BaseModel):
    """How long a task takes, and in how many steps."""

    seconds: float
    steps: int
    work: str = "scraping"


@celery.task(bind=True)
def scraping(task: "Task[..., None]", seconds: float, steps: int) -> None:
    """Publish each step."""
    task_id = str(task.request.id)
    for step in range(1, steps + 1):
        time.sleep(seconds / steps)
        now = datetime.now(UTC).isoformat()
        text = f"Scraping page {step} of {steps}"
        progress = {"task_id": task_id, "status": "PROGRESS", "progress": 100 * step // steps}
        publisher.publish(task_id, json.dumps({**progress, "message": text, "updated_at": now}))
    publisher.publish(task_id, json.dumps({"status": "SUCCESS", "progress": 100}))


@app.post("/start-task")
async def start_task(start: Start) -> dict[str, str]:
    """Start a task."""
    result = await asyncio.to_thread(scraping.delay, start.seconds, start.steps)
    return {"task_id": result.id}


@app.get("/task-progress/{task_id}")
async def task_progress(task_id: str) -> EventSourceResponse:
    """Stream what is published from now on."""

    async def events() -> AsyncIterator[dict[str, str]]:
        async with subscriber.pubsub() as pubsub:
            await pubsub.subscribe(task_id)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    data = message["data"].decode()
                    yield {"data": data}
                    if '"SUCCESS"' in data:
                        return

    return EventSourceResponse(events(), sep="\n")
