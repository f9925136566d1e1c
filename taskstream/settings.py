"""What can be set of a `TaskStream`, with defaults and bounds."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TypedDict
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, RedisDsn, ValidationError, ValidationInfo, field_validator


class Settings(BaseModel, extra="forbid", frozen=True):
    """The settings of a `TaskStream`. Raises `ValueError` with a sentence if one is out of bounds."""

    redis_url: str | None = Field(None, repr=False, description="Redis whose workers run the tasks")
    database: str | None = Field(None, min_length=1, description="file that keeps tasks across restarts")
    retention_seconds: float = Field(300, ge=0, le=2_592_000, description="seconds an ended task is kept")
    max_tasks: int = Field(1000, ge=1, description="tasks at a time; with a database, that have not ended")
    max_kept: int = Field(100_000, ge=1, description="ended tasks that are kept in a database")
    max_streams: int = Field(10_000, ge=1, description="streams that are open at a time")
    history_length: int = Field(1000, ge=1, description="events that are kept of each task")
    history_bytes: int = Field(1024 * 1024, ge=1, description="bytes of events kept of each task")
    output_queue_length: int = Field(1000, ge=1, description="pieces of output before a thread waits")
    ping_seconds: float = Field(15, gt=0, le=3600, description="seconds of silence before a comment")
    stall_seconds: float = Field(60, gt=0, le=86_400, description="seconds until a stuck viewer is cut")
    retry_milliseconds: int = Field(
        1000, ge=0, le=3_600_000, description="milliseconds until viewers reconnect, up to 3 times that"
    )
    work_threads: int = Field(8, ge=1, le=1000, description="threads that run blocking work")

    @field_validator("redis_url")
    @classmethod
    def check_redis_url(cls, redis_url: str | None) -> str | None:
        """A URL that both Celery and redis-py understand; and both are there."""
        if redis_url is None:
            return None
        RedisDsn(redis_url)
        url = urlsplit(redis_url)
        if not redis_url.startswith(f"{url.scheme}:"):
            raise ValueError("it begins with redis:// or rediss://, in small letters")
        if not re.fullmatch("(/[0-9]*)?", url.path):
            raise ValueError("the path has to be the number of a database, such as /0")
        if not re.fullmatch("(ssl_[^&]*(&|$))*", url.query):  # nothing else is known to both
            raise ValueError("behind the ? there can be only what begins with ssl_")
        if not (find_spec("celery") and find_spec("redis")):
            raise ValueError(
                "first run `pip install -r requirements-redis.txt`, or install taskstream with its extra "
                "called redis"
            )
        return redis_url

    @field_validator("database", mode="before")
    @classmethod
    def read_path(cls, database: object) -> object:
        """A path is text, too."""
        return os.fspath(database) if isinstance(database, os.PathLike) else database

    @field_validator("database")
    @classmethod
    def check_one_place(cls, database: str | None, info: ValidationInfo) -> str | None:
        """Tasks are in one place."""
        if database and info.data.get("redis_url"):
            raise ValueError("tasks are kept in a database or in Redis, so leave one of the two out")
        return database


class SettingsKeywords(TypedDict, total=False):
    """The same as the keywords of `TaskStream`, for type checkers."""

    redis_url: str | None
    database: str | os.PathLike[str] | None
    retention_seconds: float
    max_tasks: int
    max_kept: int
    max_streams: int
    history_length: int
    history_bytes: int
    output_queue_length: int
    ping_seconds: float
    stall_seconds: float
    retry_milliseconds: int
    work_threads: int


def replace(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """The settings with some of them replaced. Raises `ValueError`: one sentence that names the setting."""
    try:
        return Settings.model_validate({**settings.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            names = ", ".join(Settings.model_fields)
            raise ValueError(f"There is no setting called {first['loc'][0]!r}, only: {names}.") from None
        name = ".".join(map(str, first["loc"]))
        raise ValueError(f"The setting {name} can't be {shown(first['input'])}: {first['msg']}.") from None


def shown(value: object) -> str:
    """A setting as errors show it: without the password of a URL."""
    return re.sub(r"(?<=password=)[^&']*", "***", re.sub(r"^(.).*@", r"\1***@", repr(value)))
