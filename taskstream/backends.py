"""The back ends, chosen by the settings; what is optional is imported in their branches only."""

from functools import cached_property
from typing import TYPE_CHECKING

from taskstream.registry import MemoryRegistry, Registry
from taskstream.running import Running

if TYPE_CHECKING:
    from celery import Celery


def open_registry(tasks: Running) -> Registry:
    """The registry of this process; with a database, what it has left; with Redis, what is shared."""
    settings = tasks.settings
    if settings.database:
        from taskstream.sqlite.registry import FileRegistry

        return FileRegistry(settings, tasks.works)
    if settings.redis_url:
        from taskstream.redis.registry import RedisRegistry

        return RedisRegistry(settings, tasks.namespace)
    return MemoryRegistry(settings)


def check_database(database: str) -> None:
    """Open a database, and close it. Raises `ValueError`, with a sentence, if it can't be used."""
    from taskstream.sqlite.file import DatabaseFile

    file = DatabaseFile(database)
    file.clean = True
    file.close()


class LazyCelery:
    """Stands for a Celery application, which is made when one of its attributes is asked for.

    So `celery = tasks.celery` costs a server nothing, which may have no Celery and no Redis URL.
    """

    def __init__(self, tasks: Running) -> None:
        self._tasks = tasks

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what tools look for in any object must not make it
            raise AttributeError(name)
        return getattr(self._celery, name)

    @cached_property
    def _celery(self) -> "Celery":
        if self._tasks.settings.redis_url is None:
            raise SystemExit(
                "A worker needs Redis: set its URL, as TASKSTREAM_REDIS_URL for app.py, or as "
                "TaskStream(redis_url=…) in a module of your own."
            )
        from taskstream.redis.worker import Worker

        self._tasks.works.check()
        return Worker(self._tasks).celery
