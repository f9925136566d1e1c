"""An application whose work has a parameter of every kind: `python -m tests.page.every_field`."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field, SecretStr

from taskstream import Result, TaskStream, Update
from taskstream.server import ServerSettings, serve

tasks = TaskStream()


class Colour(StrEnum):
    """A choice that JSON Schema describes by a reference."""

    RED = "red"
    BLUE = "blue"


class Size(Enum):
    """Choices that are not text."""

    SMALL = (640, 480)
    LARGE = (1920, 1080)


class Box(BaseModel):
    """What no field can be drawn for."""

    width: int


@tasks.work
async def every_field(
    *,
    whole: Annotated[int, Field(gt=0, le=50, multiple_of=5, description="a multiple of five")],
    number: Annotated[float, Field(ge=0, le=1)] = 0.5,
    text: Annotated[str, Field(max_length=20)] = "as it is",
    optional_text: str | None = None,
    optional_number: int | None = 3,
    size: Literal["small", "large"] = "large",
    colour: Colour = Colour.RED,
    level: Literal[1, 2] | None = None,
    on: bool = True,
    maybe: bool | None = None,
    day: date | None = None,
    moment: datetime | None = None,
    tags: list[str] = ["a"],  # noqa: B006 - never changed
    box: Box | None = None,
    either: int | str = 3,
) -> AsyncIterator[Update | Result]:
    """Say what it was given."""
    given: dict[str, Any] = dict(locals())
    yield Update(50, "Given", given)
    yield Result(given)


@tasks.work
async def hard_to_show(
    *,
    lines: str = "one\ntwo",
    secret: SecretStr = SecretStr("key"),  # noqa: B008 - never changed
    serial: int = 2**53 + 1,
    number: float = 0.1,
    at: time = time(12, 30, 15, 123456),
    zoned: time = time(12, 30, tzinfo=UTC),
    since: datetime = "now",  # type: ignore[assignment]  # pydantic checks no defaults
    essay: Annotated[str, Field(min_length=0, max_length=2**32 - 1)] = "x",
    note: Annotated[str, Field(max_length=sys.maxsize)] = "x",
    resolution: Size = Size.LARGE,
    mode: Literal["a", "b"] = None,  # type: ignore[assignment]  # noqa: RUF013
    kind: Literal["a", "b"] = "c",  # type: ignore[assignment]
) -> list[object]:
    """Say what it was given: values that an input of their type can't show, or that JavaScript rounds."""
    shown = [lines, secret.get_secret_value(), str(serial), str(number), str(at), str(zoned)]
    return [*shown, since, essay, note, resolution.name, mode, kind]


@tasks.work
async def nothing() -> AsyncIterator[Update | Result]:
    """Work without parameters."""
    yield Update(50, "Nothing to do")


@tasks.work
async def greet(
    *,
    greeting: str,
    times: int,
    secret: str = "abc",
    pause: int = 3,
    note: str = "",
    size: Literal["medium", "large"] = "large",
) -> AsyncIterator[Update]:
    """Work of which some parameters have to be filled in."""
    yield Update(50, f"{greeting} {times} {secret} {pause} {note} {size}")


app = FastAPI()
app.include_router(tasks.router)
app.include_router(tasks.router, prefix="/inner/jobs")

undocumented = FastAPI(docs_url=None, lifespan=tasks.lifespan)
undocumented.include_router(tasks.router)
app.mount("/undocumented", undocumented)

if __name__ == "__main__":
    settings = ServerSettings.load(sys.argv[1:])
    tasks.configure(**settings.of_tasks)
    serve(app, settings.host, settings.port)
