"""The API against its own description: whatever schemathesis makes of it, answers are described there."""

import copy
import functools
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.utils import generate_unique_id
from hypothesis import assume, given, settings, strategies as st
from pydantic import BaseModel, Field

from app import app
from taskstream import TaskStream
from tests.support.browser import start_task
from tests.support.faults import record
from tests.support.programs import Server

SECONDS = 10
"""An answer takes no longer: made-up ids belong to no task, and all others to one that has ended."""


def event(event_id: dict[str, Any], types: list[str], data: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of an event with these ids, types and JSON in its data."""
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string", **event_id},
            "event": {"type": "string", "enum": types, "default": "message"},
            "retry": {"type": "integer", "minimum": 0},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"anyOf": [{"$ref": "#/components/schemas/Snapshot"}, *data]},
            },
        },
        "required": ["data"],
    }


def fields(**kinds: str) -> dict[str, Any]:
    """The schema of an object with these fields."""
    properties = {name: {"type": kind} for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "required": [*kinds]}


EVENTS = {
    "/task-progress/{task_id}": event(
        {"pattern": "^[1-9][0-9]*$"},
        ["message", "output", "lost"],
        [fields(text="string"), fields(**{"from": "integer", "to": "integer"})],
    ),
    "/task-progress": event(
        {"const": "end"}, ["message", "unknown"], [fields(task_id="string", detail="string")]
    ),
}
EVENTS["/tasks/{task_id}/stream"] = EVENTS["/task-progress/{task_id}"]


def with_events(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a schema of events, for which OpenAPI 3.1 has no word yet; 3.2 has."""
    for path, schema in EVENTS.items():
        for operation in document["paths"][path].values():
            operation["responses"]["200"]["content"]["text/event-stream"] = {"itemSchema": schema}
    return document


def read(document: dict[str, Any]) -> Any:
    """An OpenAPI document, valid."""
    import schemathesis  # which takes a second: not in every process that collects this file

    return schemathesis.openapi.from_dict(document)


@functools.cache
def described() -> dict[str, Any]:
    """The operations of our document, by their labels."""
    document = read(with_events(copy.deepcopy(app.openapi())))
    return {result.ok().label: result.ok() for result in document.get_all_operations()}


EXPECTED = {
    "POST /start-task": {200, 422},
    "GET /task-progress/{task_id}": {200, 204, 404},
    "GET /tasks/{task_id}/stream": {200, 204, 404},
    "GET /task-progress": {200, 204, 422},
    "POST /task-progress": {200, 204, 422},
    "GET /task-status/{task_id}": {200, 404},
    "GET /tasks/{task_id}": {200, 404},
    "POST /cancel-task/{task_id}": {200, 404},
    "POST /tasks/{task_id}/cancel": {200, 404},
    "GET /works": {200},
    "GET /health": {200},
    "GET /metrics": {200},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of one's own, since many tasks are started. Nothing may escape a route of it."""
    with Server() as server:
        yield server
        assert "ASGI" not in server.output


@pytest.fixture
def task_id(server: Server) -> str:
    """A task that has ended."""
    task_id = start_task(server, seconds=0, steps=1)
    record(server.port, task_id)
    return task_id


def test_all_routes() -> None:
    """Every route is tried."""
    assert described().keys() == EXPECTED.keys()


def test_what_is_too_rare_to_be_tried() -> None:
    """What a body can meet with is described: it is cut off, too slow, too large, or finds no place."""
    responses = described()["POST /start-task"].definition.raw["responses"]
    for status in ("400", "408", "413", "503"):
        schema = responses[status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Detail"}
    for label, expected in EXPECTED.items():
        responses = described()[label].definition.raw["responses"]
        if 204 in expected:  # a stream
            assert "503" in responses
            assert list(responses["200"]["content"]) == ["text/event-stream"]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The operations of a document, and how each is called."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


@pytest.mark.parametrize(
    "generate",
    [generate_unique_id, lambda route: route.name, lambda route: f"{route.tags[0]}-{route.name}"],
    ids=["FastAPI's", "by name", "by tag and name"],
)
def test_operation_ids_are_unique(generate: Callable[[APIRoute], str]) -> None:
    """Also where an application makes them of the routes' names, as guides for generated clients say."""
    application = FastAPI(generate_unique_id_function=generate)
    application.include_router(TaskStream().router, tags=["jobs"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ids = [operation["operationId"] for _, operation in operations(application.openapi())]
    assert len(ids) == len({*ids}) == len(EXPECTED)


def test_what_generators_read() -> None:
    """No keyword of a later OpenAPI, each answer's headers, and what another method is told."""
    document = app.openapi()
    assert "itemSchema" not in json.dumps(document)
    for label, operation in operations(document):
        answers = operation["responses"]
        assert list(answers["405"]["headers"]) == ["Allow"], label
        for status, answer in answers.items():
            assert ("Retry-After" in answer.get("headers", {})) == (status == "503"), (label, status)
    start = document["paths"]["/start-task"]["post"]["responses"]
    assert list(start["200"]["headers"]) == ["Location"]
    assert list(start["415"]["headers"]) == ["Accept-Encoding"]


class Text(BaseModel):
    """Something to read."""

    kind: Literal["text"]


class Picture(BaseModel):
    """Something to look at."""

    kind: Literal["picture"]


class Page(BaseModel):
    """A page, with those below it."""

    title: str
    content: list[Annotated[Text | Picture, Field(discriminator="kind")]] = []
    below: list["Page"] = []


def start_task_body(tasks: TaskStream) -> dict[str, Any]:
    """What the document says of the body that starts something."""
    application = FastAPI()
    application.include_router(tasks.router, prefix="/jobs")
    document = application.openapi()
    read(document)
    content = document["paths"]["/jobs/start-task"]["post"]["requestBody"]["content"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


def test_a_parameter_of_a_type_that_contains_itself() -> None:
    """Schemas have no references, which would lead nowhere: a type is left open in itself."""
    tasks = TaskStream()

    @tasks.work
    def crawl(*, page: Page) -> None:
        """Follow the links."""

    (schema,) = start_task_body(tasks)["oneOf"]
    assert not re.search(r"\$ref|\$defs", json.dumps(schema))
    page = schema["properties"]["page"]
    assert page["properties"]["title"] == {"title": "Title", "type": "string"}
    assert page["properties"]["below"]["items"] == {}


def test_nothing_to_start() -> None:
    """Where requests may start nothing, no body is right."""
    assert start_task_body(TaskStream()) == {"not": {}}


@pytest.mark.parametrize("label", EXPECTED)
@pytest.mark.parametrize("examples", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_every_answer_is_described(server: Server, task_id: str, label: str, examples: int) -> None:
    """No request makes the server fail, and every answer has a status, headers and a body as described."""
    from schemathesis import Case, GenerationMode
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    seen: Counter[int] = Counter()
    cases = st.sampled_from(GenerationMode).flatmap(
        lambda mode: described()[label].as_strategy(generation_mode=mode)
    )

    @settings(max_examples=examples, database=None)
    @given(cases, st.booleans(), st.sampled_from([None, "end", "4"]))
    def try_one(case: Case[Any], exists: bool, last_event_id: str | None) -> None:
        # JSON Schema takes 20.0 for an integer; we, being strict, don't.
        assume(not (isinstance(case.body, dict) and isinstance(case.body.get("steps"), float)))
        if exists and "task_id" in case.path_parameters:
            case.path_parameters["task_id"] = task_id
        if exists and "task_id" in case.query:
            case.query["task_id"] = [task_id]
        if last_event_id and 204 in EXPECTED[label]:
            case.headers["Last-Event-ID"] = last_event_id
        response = case.call(base_url=server.url, timeout=SECONDS)
        seen[response.status_code] += 1
        if response.status_code == 503:
            assert label == "POST /start-task"  # the registry is full; described, but schemathesis minds it
        elif "used with other parameters" in response.text:
            case.validate_response(response, excluded_checks=[positive_data_acceptance])  # it can't know
        elif response.status_code == 413:  # it knows no bound in bytes
            case.validate_response(
                response, excluded_checks=[positive_data_acceptance, negative_data_rejection]
            )
        else:
            case.validate_response(response)

    for _ in range(40):  # examples are drawn by chance, and few of them answer 204
        try_one()
        if EXPECTED[label] <= seen.keys():
            return
    assert EXPECTED[label] <= seen.keys()
