"""What the interactive documentation says that FastAPI can't find out by itself."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from taskstream.http.bodies import MODELS

Answers = dict[int | str, dict[str, Any]]


class Detail(BaseModel):
    """Why there is nothing better to answer, in one sentence."""

    detail: str


def refusal(status: int, description: str) -> Answers:
    """An answer that says no."""
    return {status: {"description": description, "model": Detail}}


NOT_FOUND = refusal(404, "No task has this id")
BUSY = refusal(503, "No place is free: see Retry-After")
UNAVAILABLE = refusal(503, "The back end is out of reach: see Retry-After")
BAD_BODY: Answers = {
    **refusal(400, "The body was cut off"),
    **refusal(408, "The body took too long"),
    **refusal(413, "The body is too large"),
    422: {
        "description": "The body can't be meant: `loc` names the field",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}},
    },
}


def stream(event_id: dict[str, Any], types: list[str], data: dict[str, Any]) -> Answers:
    """A stream of events with these ids, types and JSON in their data; as FastAPI describes its own."""
    event = {
        "type": "object",
        "properties": {
            "id": {"type": "string", **event_id},
            "event": {"type": "string", "enum": types, "default": "message"},
            "retry": {"type": "integer", "minimum": 0},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": data},
        },
        "required": ["data"],
    }
    return {
        200: {
            "description": "Snapshots as Server-Sent Events, until the end",
            "content": {"text/event-stream": {"itemSchema": event}},
        },
        204: {"description": "Last-Event-ID names the last event: nothing more will come"},
        **BUSY,
    }


SNAPSHOT = {"$ref": "#/components/schemas/Snapshot"}
UNKNOWN = {"type": "object", "properties": {"task_id": {"type": "string"}}, "required": ["task_id"]}
STREAM = stream({"pattern": "^[1-9][0-9]*$"}, ["message"], SNAPSHOT) | NOT_FOUND
OVERVIEW = stream({"const": "end"}, ["message", "unknown"], {"anyOf": [SNAPSHOT, UNKNOWN]})

_, _definitions = models_json_schema(
    [(model, "validation") for model in MODELS.values()],
    ref_template="#/components/schemas/{model}",
)
COMPONENTS: dict[str, Any] = _definitions["$defs"]
REQUEST_BODY = {
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [{"$ref": f"#/components/schemas/{model.__name__}"} for model in MODELS.values()]
            }
        }
    }
}


class App(FastAPI):
    """FastAPI, whose documentation also knows the body that `start_task` reads for itself."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        document["components"]["schemas"].update(COMPONENTS)
        return document
