"""The message that has a worker run a task: the same as if Celery had sent it."""

import json
from base64 import b64decode
from typing import Any

import pytest
from redis import Redis

from taskstream.redis.messages import QUEUE, celery_message, run_name
from taskstream.redis.queue import create_celery
from tests.redis.conftest import NAMESPACE
from tests.support.backends import RedisServer

pytestmark = pytest.mark.slow

TASK_ID = "a" * 32


def message(text: str) -> dict[str, Any]:
    """A message without what differs from one to the next, and with its body decoded."""
    fields: dict[str, Any] = json.loads(text)
    fields["body"] = json.loads(b64decode(fields["body"]))
    for name in ("origin", "argsrepr"):
        assert isinstance(fields["headers"].pop(name), str)
    for name in ("delivery_tag", "reply_to"):
        assert isinstance(fields["properties"].pop(name), str)
    return fields


def test_it_is_as_if_celery_had_sent_it(redis_server: RedisServer, client: Redis) -> None:
    """Each field that Celery and kombu send is there, and each means the same."""
    parameters = json.dumps({"name": "Käse"})
    celery = create_celery(redis_server.url, NAMESPACE)
    celery.send_task(run_name(NAMESPACE), args=("work", parameters), task_id=TASK_ID, ignore_result=True)
    celery.close()
    sent = client.lpop(f"{NAMESPACE}:{QUEUE}")
    assert isinstance(sent, str)
    assert message(celery_message(TASK_ID, NAMESPACE, "work", parameters)) == message(sent)
