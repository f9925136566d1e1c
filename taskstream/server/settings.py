"""Every setting: a flag of `python app.py`, and a variable that begins with `PROGRESS_`."""

import sys
from importlib.util import find_spec
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, RedisDsn, TypeAdapter, ValidationError, field_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict


class Settings(BaseSettings):
    """Start long-running tasks and stream their progress to any number of viewers."""

    model_config = SettingsConfigDict(
        env_prefix="PROGRESS_",
        cli_prog_name="app.py",
        cli_kebab_case=True,
        cli_show_env_vars=True,
    )

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    redis_url: str | None = Field(
        None,
        description="Redis whose Celery workers run the tasks, instead of the server",
    )
    cors_origins: str = Field(
        "*", description="origins whose pages may use the API, separated by commas; * means any"
    )
    retention_seconds: float = Field(
        300, ge=0, le=2_592_000, description="seconds for which an ended task is remembered"
    )
    max_tasks: int = Field(1000, ge=1, description="tasks that are kept at a time")
    max_streams: int = Field(10_000, ge=1, description="streams that are open at a time")
    history_length: int = Field(1000, ge=1, description="events that are kept of each task")
    ping_seconds: float = Field(
        15, gt=0, le=3600, description="seconds of silence after which a stream sends a comment"
    )
    retry_milliseconds: int = Field(
        1000,
        ge=0,
        le=3_600_000,
        description="milliseconds until a viewer reconnects, at the least; three times as many at most",
    )
    work_threads: int = Field(8, ge=1, le=1000, description="threads that run blocking work")

    @field_validator("redis_url")
    @classmethod
    def check_redis_url(cls, redis_url: str | None) -> str | None:
        """A URL that both Celery and redis-py understand; and both are there."""
        if redis_url is None:
            return None
        TypeAdapter(RedisDsn).validate_python(redis_url)
        database = urlsplit(redis_url).path.strip("/")
        if database and not (database.isascii() and database.isdigit()):
            raise ValueError("the path has to be the number of a database, such as /0")
        if not (find_spec("celery") and find_spec("redis")):
            raise ValueError("first run `pip install -r requirements-distributed.txt`")
        return redis_url

    @classmethod
    def load(cls, arguments: list[str] | None = None) -> Self:
        """From the `arguments` of a command line, if there is one, then variables, then defaults.

        A bad value ends the program: one sentence, exit code 2.
        """
        try:
            return cls() if arguments is None else CliApp.run(cls, cli_args=arguments)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            flag, variable = f"--{name.replace('_', '-')}", f"PROGRESS_{name.upper()}"
            message = f"{flag} (or {variable}) can't be {first['input']!r}: {first['msg']}."
            print(f"app.py: {message}", file=sys.stderr)
            raise SystemExit(2) from None
