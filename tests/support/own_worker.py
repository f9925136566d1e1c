"""A Celery worker with the work of `own_work.py` on top: `celery -A tests.support.own_worker worker`."""

import tests.support.own_work  # noqa: F401 - it adds its work to the table
from taskstream.redis.worker import app

__all__ = ["app"]
