"""A Celery worker with the work of `tests/own_work.py` on top: `celery -A tests.own_worker worker`."""

import tests.own_work  # noqa: F401 - it adds its work to the table
from distributed import app

__all__ = ["app"]
