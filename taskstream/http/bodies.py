"""What `POST /start-task` accepts: the fields that every task has, and the parameters of its work."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from starlette.requests import ClientDisconnect

from taskstream.work import WORK, is_blocking

BODY_BYTES = 64 * 1024
BODY_SECONDS = 10
DEFAULT_WORK = next(iter(WORK))


class StartTask(BaseModel):
    """The fields that every task has."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    work: str = DEFAULT_WORK
    name: Annotated[str, Field(max_length=100)] | None = None


class WorkOnly(StartTask):
    """The first look at a body, for the work that it is about."""

    model_config = ConfigDict(extra="ignore")

    work: Literal[tuple(WORK)] = DEFAULT_WORK  # type: ignore[valid-type]
    name: Any = None


def start_task_model(work: str, function: Callable[..., object]) -> type[StartTask]:
    """The body for one work: a field for each parameter of its function. Raises `TypeError`."""
    fields: dict[str, Any] = {}
    for parameter in work_parameters(work, function):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"The work '{work}' can't have *{parameter.name}: name each parameter.")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"The work '{work}' has to say the type of its parameter '{parameter.name}'.")
        if hasattr(StartTask, parameter.name) or parameter.name in StartTask.model_fields:
            raise TypeError(f"The work '{work}' can't have a parameter called '{parameter.name}'.")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    fields["work"] = (Literal[work], DEFAULT_WORK if work == DEFAULT_WORK else ...)
    return create_model(f"Start_{work}", __base__=StartTask, **fields)


def work_parameters(work: str, function: Callable[..., object]) -> list[inspect.Parameter]:
    """The parameters of a work's function, without the `report` of blocking work. Raises `TypeError`."""
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())
    if is_blocking(function):
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"The work '{work}' has to be an async generator: let it yield Updates.")
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"The work '{work}' blocks, so its first parameter has to be `report`.")
        del parameters[0]
    return parameters


MODELS = {work: start_task_model(work, function) for work, function in WORK.items()}


async def read_start_task(request: Request) -> StartTask:
    """The body of a request. Raises 413 and 408, and `RequestValidationError`."""
    body = await read_body(request) or b"{}"
    try:
        # By pydantic's JSON parser: Python's lets NaN and lone surrogates through.
        work = WorkOnly.model_validate_json(body).work
        return MODELS[work].model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors]) from None


def parameters_of(body: StartTask) -> dict[str, object]:
    """The parameters of the work."""
    return {name: value for name, value in body if name not in StartTask.model_fields}


async def read_body(request: Request) -> bytes:
    """The bytes of a request, if they are neither too many nor too slow."""
    too_large = HTTPException(413, f"The body is larger than {BODY_BYTES // 1024} KiB.")
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
        raise HTTPException(408, f"The body took longer than {BODY_SECONDS} s.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The body was cut off.") from None  # to nobody: they have gone
    return bytes(body)
