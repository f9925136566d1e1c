"""What the interactive documentation says that FastAPI can't find out by itself."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from schemas import MODELS

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "No task has this id"}}
BUSY: dict[int | str, dict[str, Any]] = {503: {"description": "No place is free: see Retry-After"}}
UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"description": "The back end is out of reach"}}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Snapshots as Server-Sent Events, until the end",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "Last-Event-ID names the last event: nothing more will come"},
    **BUSY,
}

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
