"""The message that has a Celery worker run a task, as Celery itself would put it into the queue.

Made here, so that the command that creates a task can queue it in the same step, and a sweep can queue it
again. It is Celery's protocol 2 in the envelope of kombu's Redis transport:
https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

import json
import os
import re
import socket
from base64 import b64encode

QUEUE = "queue"


def key_prefix(namespace: str) -> str:
    """How all keys of a namespace begin. Raises `ValueError` if they could be those of another one."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", namespace):
        raise ValueError(f"The namespace {namespace!r} may have letters, digits, '_', '.' and '-' only.")
    return f"{namespace}:"


def run_name(namespace: str) -> str:
    """The name of the one Celery task, which runs any work."""
    return f"{namespace}.run"


def celery_message(task_id: str, namespace: str, work: str, parameters: str) -> str:
    """The message that asks a worker to run some work with these parameters, which are JSON."""
    embed = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))
    message = {
        "body": b64encode(json.dumps([[work, parameters], {}, embed]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            **dict.fromkeys(("shadow", "eta", "expires", "group", "group_index", "parent_id")),
            "lang": "py",
            "task": run_name(namespace),
            "id": task_id,
            "root_id": task_id,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": f"({work!r}, …)",  # what tools show: parameters may be secret
            "kwargsrepr": "{}",
            "origin": f"{os.getpid()}@{socket.gethostname()}",
            "ignore_result": True,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": task_id,
        },
    }
    return json.dumps(message)
