"""What the interactive documentation says that FastAPI can't find out by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from taskstream.errors import IDEMPOTENCY_KEY
from taskstream.http.bodies import StartTaskBodies, TaskIds
from taskstream.idempotency import PATTERN

Answers = dict[int | str, dict[str, Any]]
Schema = dict[str, Any]


class Detail(BaseModel):
    """Why there is nothing better to answer, in one sentence."""

    detail: str


def header(name: str, kind: str, description: str) -> Schema:
    """A header of an answer."""
    return {"headers": {name: {"description": description, "schema": {"type": kind}}}}


def error(status: int, description: str, **more: object) -> Answers:
    """An answer with this status and a `Detail`."""
    return {status: {"description": description, "model": Detail, **more}}


ALLOW = header("Allow", "string", "Which methods those are")
CODINGS = header("Accept-Encoding", "string", "Which codings are read")
RETRY_AFTER = header("Retry-After", "integer", "Seconds to wait")
EVERYWHERE: Answers = {
    **error(405, "This path is for other methods", **ALLOW),
    **error(503, "No place is free, or the back end is out of reach", **RETRY_AFTER),
}
NOT_FOUND = error(404, "No task has this id")
INVALID: Answers = {
    422: {
        "description": "The request is invalid: `loc` names the field",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}},
    }
}
METRICS: Answers = {200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}}
BODY: Answers = {
    **error(400, "The body was cut off"),
    **error(408, "The body took too long"),
    **error(413, "The body is too large"),
    **error(415, "The body is encoded", **CODINGS),
    **INVALID,
}
START: Answers = {200: header("Location", "string", "Where the stream of the task is"), **BODY}


def stream(events: str) -> Answers:
    """A stream of these events: which OpenAPI 3.1 can describe in words only."""
    return {
        200: {
            "description": f"Server-Sent Events, until the end. {events}",
            "content": {"text/event-stream": {}},
        },
        204: {"description": "Last-Event-ID names the last event: nothing more will come"},
        **INVALID,
    }


def parameter(name: str, part: str, description: str, **schema: object) -> Schema:
    """A parameter that a route looks up by itself: FastAPI would take 7 % of the time of an opening."""
    return {"name": name, "in": part, "schema": schema, "description": description}


def request_body(schema: Schema, **more: object) -> Schema:
    """What the body of a request is."""
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, **more}}


STREAM_PARAMETERS = {
    "parameters": [
        parameter("Last-Event-ID", "header", "What EventSource sends on reconnecting", type="string"),
        parameter("last_event_id", "query", "The same, where there is no header", type="string"),
        parameter(
            "wait", "query", "Seconds to wait for a first event", type="integer", minimum=0, maximum=30
        ),
    ]
}
TASK_IDS = request_body(TaskIds.model_json_schema(), required=True)
KEY = parameter(IDEMPOTENCY_KEY, "header", "One key starts one task", type="string", pattern=PATTERN)
STREAM = NOT_FOUND | stream(
    "Unnamed ones have a `Snapshot` as their data, `output` has `text`, and `lost` the numbers of the "
    "events that are gone, `from` and `to`; the others are numbered"
)
OVERVIEW = stream(
    "Unnamed ones have a `Snapshot` as their data, `unknown` has a `task_id` and a `detail`; the last one "
    "has the id `end`"
)


class StartTaskOperation(Mapping[str, Any]):
    """What `POST /start-task` adds to its OpenAPI operation: its key, and the bodies that it accepts.

    Made when the document is, not when the router is: works may be added after the router is included, and
    their annotations may name what is defined further down.
    """

    def __init__(self, bodies: StartTaskBodies) -> None:
        self._bodies = bodies

    def __getitem__(self, key: str) -> object:
        works = self._bodies.works.public.values()
        schemas = [inlined(self._bodies.model(work).model_json_schema()) for work in works]
        schema: Schema = {"oneOf": schemas} if schemas else {"not": {}}  # where there is nothing to start
        return {"parameters": [KEY], **request_body(schema)}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("parameters", "requestBody"))

    def __len__(self) -> int:
        return 2


def inlined(schema: Schema) -> Schema:
    """A JSON Schema without `$defs`, to which no reference leads from inside an OpenAPI document.

    A type that contains itself is left open where it does.
    """
    definitions = schema.get("$defs", {})

    def inline(value: object, inside: tuple[str, ...]) -> object:
        match value:
            case {"$ref": str(reference), **others}:
                name = reference.rpartition("/")[2]
                definition = {} if name in inside else definitions[name]
                return inline({**definition, **others}, (*inside, name))
            case {"discriminator": {"mapping": dict()}, **others}:  # to references; `const`s tell the same
                return inline(others, inside)
            case dict():
                return {key: inline(each, inside) for key, each in value.items() if key != "$defs"}
            case list():
                return [inline(each, inside) for each in value]
        return value

    result = inline(schema, ())
    assert isinstance(result, dict)
    return result
