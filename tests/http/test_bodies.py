"""Work of one's own: its parameters become the fields of a request, and mistakes are told in a sentence."""

import functools
from collections.abc import Callable
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from taskstream.http.bodies import start_task_model
from taskstream.tasks import Update, Updates
from taskstream.threads import Report
from taskstream.work import is_blocking


async def generator(*, count: Annotated[int, Field(ge=1)], word: str = "hi") -> Updates:
    yield Update(50, word * count)


@functools.wraps(generator)
def decorated(**parameters: object) -> object:
    return generator(**parameters)  # type: ignore[arg-type]


def blocking(report: Report, count: Annotated[int, Field(ge=1)], *, word: str = "hi") -> None:
    report(50, word * count)


@pytest.mark.parametrize("function", [generator, decorated, blocking])
def test_parameters_are_fields(function: Callable[..., object]) -> None:
    """A parameter, with its type, bounds and default, is a field; `report` is none."""
    model = start_task_model("own", function)
    assert list(model.model_fields) == ["work", "name", "count", "word"]
    body = model.model_validate_json('{"work": "own", "count": 2}')
    assert body.model_dump() == {"work": "own", "name": None, "count": 2, "word": "hi"}
    for wrong in (
        '{"work": "own"}',
        '{"work": "own", "count": 0}',
        '{"work": "own", "count": "2"}',
        '{"count": 2}',
    ):
        with pytest.raises(ValidationError):
            model.model_validate_json(wrong)
    assert is_blocking(function) == (function is blocking)


def no_report() -> None: ...


def report_by_name(*, report: Report) -> None: ...


async def no_yield(*, count: int = 3) -> None: ...


def no_type(report: Report, count=3) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


def any_parameter(report: Report, **parameters: object) -> None: ...


def taken(report: Report, *, name: str) -> None: ...


def reserved(report: Report, *, model_config: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (no_report, "its first parameter has to be `report`"),
        (report_by_name, "its first parameter has to be `report`"),
        (no_yield, "has to be an async generator"),
        (no_type, "has to say the type of its parameter 'count'"),
        (any_parameter, r"can't have \*parameters"),
        (taken, "can't have a parameter called 'name'"),
        (reserved, "can't have a parameter called 'model_config'"),
    ],
)
def test_mistakes(function: Callable[..., object], sentence: str) -> None:
    """A function that can't be work is refused at once, by name."""
    with pytest.raises(TypeError, match=f"^The work 'own' .*{sentence}"):
        start_task_model("own", function)
