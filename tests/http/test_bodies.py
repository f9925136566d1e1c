"""The bodies that start work: its parameters are fields, strictly checked, and mistakes are brief."""

import json
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from pydantic import Field

from taskstream.errors import MAX_ERRORS, InvalidParameters
from taskstream.http.bodies import BODY_BYTES, StartTaskBodies
from taskstream.updates import Update
from taskstream.work import Work, WorkTable


async def generator(*, count: Annotated[int, Field(ge=1)], word: str = "hi") -> AsyncIterator[Update]:
    yield Update(50, word * count)


def blocking(*, seconds: float = 1) -> float:
    return seconds


def secret() -> None: ...


@pytest.fixture
def bodies() -> StartTaskBodies:
    works = WorkTable()
    works.add(Work(secret, public=False))
    works.add(Work(generator, "own"))
    works.add(Work(blocking))
    return StartTaskBodies(works)


def mistakes(bodies: StartTaskBodies, body: bytes) -> list[dict[str, object]]:
    """What is told of a body."""
    with pytest.raises(InvalidParameters) as error:
        bodies.parse(body)
    assert error.value.status_code == 422
    detail: list[dict[str, object]] = json.loads(json.dumps(error.value.detail))
    return detail


def test_private_work_is_not_even_named(bodies: StartTaskBodies) -> None:
    """Who may not start some work isn't told that there is any."""
    for name in (b"secret", b"unheard of"):
        (mistake,) = mistakes(bodies, b'{"work": "%b"}' % name)
        assert mistake["msg"] == "Input should be 'own' or 'blocking'"


def test_as_a_sentence(bodies: StartTaskBodies) -> None:
    """In an application's own code the error reads as one line."""
    with pytest.raises(
        InvalidParameters, match=r"^count: Field required; more: Extra inputs .* permitted$"
    ):
        bodies.parse(b'{"more": 1}')


def test_many_mistakes_are_told_briefly(bodies: StartTaskBodies) -> None:
    """A large body that is nothing but mistakes is answered with a short list, by short names."""
    many = b"{" + b",".join(b'"%x":1' % number for number in range(7000)) + b"}"
    assert len(many) < BODY_BYTES
    told = mistakes(bodies, many)
    assert len(told) == MAX_ERRORS + 1
    assert told[-1] == {"type": "too_many", "loc": ["body"], "msg": f"… and {7001 - MAX_ERRORS} more"}
    assert len(json.dumps(mistakes(bodies, b'{"' + b"x" * 60_000 + b'": 1}'))) < 1000
