"""What `POST /start-task` accepts: the fields that every task has, and the parameters of its work."""

import asyncio
import json
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import HTTPException, Request
from pydantic import AfterValidator, BaseModel, Field, ValidationError, create_model
from starlette.requests import ClientDisconnect

from taskstream.application import MAX_NAME
from taskstream.errors import NO_STORE, InvalidParameters
from taskstream.work import Parameters, Work, WorkTable

BODY_BYTES = 64 * 1024
BODY_SECONDS = 10

check_numbers = partial(json.dumps, allow_nan=False)
"""Raises `ValueError` for NaN, Infinity and 1e400, which are no JSON."""


class StartTask(Parameters):
    """The fields that every task has; those of a work's parameters are added."""

    work: str
    name: Annotated[str, Field(max_length=MAX_NAME)] | None = None


class StartTaskBodies:
    """The bodies that the public works of one application accept."""

    def __init__(self, works: WorkTable) -> None:
        self.works = works
        self._models: dict[str, type[StartTask]] = {}

    def model(self, work: Work) -> type[StartTask]:
        """The body that starts some work: a field for each of its parameters."""
        if work.name not in self._models:
            default = work.name if work is next(iter(self.works.public.values())) else ...
            fields = {"work": (Literal[work.name], default), **work.fields}
            self._models[work.name] = create_model(f"Start_{work.name}", __base__=StartTask, **fields)
        return self._models[work.name]

    def parse(self, body: bytes) -> tuple[Work, StartTask]:
        """The work that a body names, or the first one, and the body. Raises `InvalidParameters`."""
        works = self.works.public
        if not works:
            raise InvalidParameters.of("work", "There is no work that requests may start")
        try:
            # By pydantic's JSON parser: Python's lets NaN and lone surrogates through.
            name = WorkOnly.model_validate_json(body).work
            work = works.get(next(iter(works)) if name is None else name)
            if work is None:
                *others, last = map(repr, works)
                names = f"{', '.join(others)} or {last}" if others else last
                raise InvalidParameters.of("work", f"Input should be {names}")
            model = self._models.get(work.name) or self.model(work)
            return work, model.model_validate_json(body)
        except ValidationError as error:
            raise InvalidParameters(error.errors(), "body") from None


class TaskIds(BaseModel, extra="forbid", strict=True):
    """The body that asks for the stream of many tasks: more than a request line has room for."""

    task_ids: Annotated[list[str], Field(min_length=1, max_length=1000)]

    @classmethod
    def parse(cls, body: bytes) -> list[str]:
        """The ids in a body. Raises `InvalidParameters`."""
        try:
            return cls.model_validate_json(body).task_ids
        except ValidationError as error:
            raise InvalidParameters(error.errors(), "body") from None


class WorkOnly(BaseModel, extra="allow"):
    """The first look at a body: for the work that it is about, and into what is of any type."""

    work: str | None = Field(None, strict=True)
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(check_numbers)]]


async def read_body(request: Request) -> bytes:
    """The bytes of a request, if they are neither too many nor too slow. Raises 400, 408, 413 and 415."""
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        detail = f"The body is encoded ({coding[:40]!r}): send it as it is, without Content-Encoding."
        raise HTTPException(415, detail, {"Accept-Encoding": "identity", **NO_STORE})
    too_large = HTTPException(413, f"The body is larger than {BODY_BYTES // 1024} KiB.", NO_STORE)
    if int(request.headers.get("Content-Length", 0)) > BODY_BYTES:
        raise too_large  # before the client, if it has asked for that, is told to send it
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, f"The body took longer than {BODY_SECONDS} s.", NO_STORE) from None
    except ClientDisconnect:
        raise HTTPException(400, "The body was cut off.", NO_STORE) from None  # on a closed connection
    return bytes(body)
