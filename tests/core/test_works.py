"""Work: what its signature says becomes what is checked, and mistakes are told in a sentence."""

from __future__ import annotations

import asyncio
import functools
import re
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID, uuid4

import pytest
from fastapi import BackgroundTasks, Depends, Header, Request, UploadFile
from pydantic import (
    AliasChoices,
    AliasPath,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    computed_field,
)

from taskstream.errors import InvalidParameters
from taskstream.threads import WorkThreads
from taskstream.updates import Update
from taskstream.work import Work, WorkTable

if TYPE_CHECKING:
    from typing import Any as Unknown


async def generator(*, count: Annotated[int, Field(ge=1)], word: Word = "hi") -> AsyncIterator[Update]:
    """Say something.

    So many times.
    """
    yield Update(50, word * count)


@functools.wraps(generator)
def decorated(**parameters: object) -> object:
    return generator(**parameters)  # type: ignore[arg-type]


@functools.wraps(generator)
async def collected(**parameters: object) -> list[Update]:
    return [update async for update in generator(**parameters)]  # type: ignore[arg-type]


async def coroutine(count: Annotated[int, Field(ge=1)], *, word: Word = "hi") -> Unknown:
    return word * count


def blocking(*, count: Annotated[int, Field(ge=1)], word: Word = "hi") -> Unknown:
    return word * count


@functools.wraps(blocking)
async def in_a_thread(**parameters: object) -> Unknown:
    return await asyncio.to_thread(functools.partial(blocking, **parameters))  # type: ignore[arg-type]


class Speaker:
    """Somebody who says something."""

    def method(self, count: Annotated[int, Field(ge=1)], word: Word = "hi") -> Unknown:
        """Say it."""
        return word * count

    async def __call__(self, count: Annotated[int, Field(ge=1)], word: Word = "hi") -> Unknown:
        """Say it, too."""
        return word * count


Word = str
"""Defined after what is annotated with it."""


@pytest.mark.parametrize(
    ("function", "name", "kind"),
    [
        (generator, "generator", "async"),
        (decorated, "generator", "async"),
        (collected, "generator", "async"),
        (in_a_thread, "blocking", "async"),
        (coroutine, "coroutine", "async"),
        (blocking, "blocking", "blocking"),
        (functools.partial(generator), "partial", "async"),
        (Speaker().method, "method", "blocking"),
        (Speaker(), "Speaker", "async"),
    ],
)
async def test_parameters(function: Callable[..., object], name: str, kind: str) -> None:
    """Parameters are checked, or have their defaults; the function is called as what it is."""
    work = Work(function)
    assert (work.name, work.kind) == (name, kind)
    assert work.parse({"count": 2}).values() == {"count": 2, "word": "hi"}
    for wrong in ({}, {"count": 0}, {"count": "two"}, {"count": 2, "surprise": 1}):
        with pytest.raises(InvalidParameters):
            work.parse(wrong)
    threads = WorkThreads(1)
    assert len([said async for said in await work.begin(work.parse({"count": 2}), threads)]) == 1
    await threads.join()


def test_description() -> None:
    """What a form needs: what it is for, how it runs, and the schema of its parameters."""
    assert Work(generator, "say").describe() == {
        "name": "say",
        "description": "Say something.\n\nSo many times.",
        "kind": "async",
        "parameters": {
            "title": "Run_say",
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "count": {"title": "Count", "type": "integer", "minimum": 1},
                "word": {"title": "Word", "type": "string", "default": "hi"},
            },
            "required": ["count"],
        },
    }


def test_any_name_of_a_parameter() -> None:
    """A parameter may be called like whatever pydantic's models have."""

    def work(*, model_config: int, json: int, values: int, _private: int = 4) -> None: ...

    parameters = Work(work).parse({"model_config": 1, "json": 2, "values": 3})
    assert parameters.values() == {"model_config": 1, "json": 2, "values": 3, "_private": 4}


class Level(Enum):
    """How loud."""

    HIGH = "high"


@dataclass
class Place:
    """A dataclass of somebody's own."""

    x: int = 1


class Box(BaseModel):
    """A model that says more than it is made of, and forbids to be told."""

    model_config = ConfigDict(extra="forbid")
    width: int
    height: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        """What follows from the others."""
        return self.width * self.height


class User(BaseModel):
    """A model whose fields have other names outside, or stay inside."""

    user_id: int = Field(validation_alias="userId", serialization_alias="uid")
    group: str = Field("", validation_alias=AliasChoices("group", "team"))
    token: str = Field("", exclude=True)
    password: SecretStr = SecretStr("")
    friends: dict[str, set[int]] = {}


class Masked(BaseModel):
    """A model that is another one after its own JSON."""

    x: Annotated[int, Field(validation_alias=AliasPath("deep", 0))] = 1


class Temperature:
    """A value of which only its annotation knows JSON."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Temperature) and other.degrees == self.degrees

    __hash__ = None  # type: ignore[assignment]


READ = PlainValidator(lambda value: value if isinstance(value, Temperature) else Temperature(value))
Degrees = Annotated[Temperature, READ, PlainSerializer(lambda value: value.degrees)]


def work_with(annotation: object, **defaults: object) -> Work:
    """Some work with one parameter of this type, called `own`."""

    def work(*, own: object) -> None: ...

    work.__annotations__["own"] = annotation
    work.__kwdefaults__ = defaults
    return Work(work)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, 1),
        (int | None, None),
        (Level | None, Level.HIGH),
        (datetime, datetime(2026, 1, 31, tzinfo=UTC)),
        (timedelta, timedelta(1)),
        (Path, Path("a")),
        (UUID, UUID(int=7)),
        (Decimal, Decimal("1.50")),
        (tuple[int, ...], (1, 2)),
        (frozenset[tuple[str, int]], frozenset({("a", 2)})),
        (dict[int, float], {2: 1.5, 1: 2}),
        (Place, Place(3)),
        (list[Box], [Box(width=2, height=3)]),
        (User, User(userId=5, team="a", token="b", password="c", friends={"b": {1, 2}, "a": set()})),
        (Masked, Masked.model_validate({"deep": [7]})),
        (RootModel[list[int]], RootModel[list[int]]([1, 2])),
        (list[SecretStr], [SecretStr("a"), SecretStr("b")]),
        (SecretBytes, SecretBytes(b"a\xff")),
        (Secret[int], Secret(7)),
        (dict[str, bytes], {"b": b"\xff", "a": b"text"}),
        (str, "\u2028\x00"),
        pytest.param(Degrees, Temperature(3), id="Degrees"),
    ],
    ids=str,
)
def test_values_of_their_own_type(annotation: object, value: object) -> None:
    """From Python, a parameter is given as what its annotation says, and so it reaches a worker."""
    work = work_with(annotation)
    parameters = work.parse({"own": value})
    read = work.from_json(work.to_json(parameters))
    assert parameters.values() == read.values() == {"own": value}
    assert read.json_values() == parameters.json_values()


class Timed(BaseModel):
    """A model that makes what it isn't made of."""

    n: int
    _lock: Any = PrivateAttr(default_factory=Lock)


class Group(BaseModel):
    """What iterates over something else than its fields, as pydantic's own examples do."""

    timed: list[Timed]
    tags: list[str] = Field(default_factory=list)

    def __iter__(self) -> Iterator[Timed]:  # type: ignore[override]
        return iter(self.timed)


@dataclass(eq=False)
class Unequal:
    """Of which each is another one."""

    timed: tuple[Timed, ...]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Timed, Timed(n=1)),
        (dict[str, list[Timed]], {"a": [Timed(n=1)]}),
        (Unequal, Unequal((Timed(n=1),))),
        (Group, Group(timed=[Timed(n=1)])),
    ],
    ids=["model", "nested", "dataclass", "iterable"],
)
def test_values_that_equal_no_other(annotation: object, value: object) -> None:
    """What is made with a value, as a lock, keeps it from no worker."""
    work = work_with(annotation)
    parameters = work.parse({"own": value})
    assert work.from_json(work.to_json(parameters)).json_values() == parameters.json_values()
    assert parameters.json_values(full=False) == parameters.json_values()


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(Json[list[int]], '"[1, 2]"'), (Base64Bytes, '"aGVsbG8="'), (Base64Bytes, '"TVRJeg=="')],
)
def test_text_that_is_read_twice(annotation: object, text: str) -> None:
    """What a request gives as JSON, or base64, in a text reaches a worker as what is in it."""
    work = work_with(annotation)
    parameters = work.parameters.model_validate_json(f'{{"own": {text}}}')
    assert work.from_json(work.to_json(parameters)).values() == parameters.values()


def test_what_is_made_anew_is_no_other_request() -> None:
    """What nobody gave, and is made anew each time, makes no other start of one that is sent again."""

    class Options(BaseModel):
        at: datetime = Field(default_factory=lambda: datetime.now(UTC))
        tags: list[str] = Field(default_factory=list)

    def own(*, key: Annotated[UUID, Field(default_factory=uuid4)], options: Options) -> None: ...

    # Annotations are text in this module, and these are names of this function.
    own.__annotations__ |= {"options": Options}
    work = Work(own)
    keys: list[dict[str, object]] = [{}, {}, {"key": uuid4()}, {"key": uuid4()}]
    same, again, *others = (work.parse({**key, "options": {}}).json_values(full=False) for key in keys)
    assert same == again
    assert len({same, *others}) == 3
    assert work.parse({"options": {"tags": []}}).json_values(full=False) == same  # made alike each time


UNSET: Any = object()


class Defaults(BaseModel):
    """A model of which nobody has to give anything."""

    limit: Any = UNSET
    seconds: float = 5
    place: Place = Place()


@pytest.mark.filterwarnings("ignore::pydantic.json_schema.PydanticJsonSchemaWarning")
@pytest.mark.parametrize(
    ("annotation", "default", "given"),
    [
        (float, 5, 5.0),
        (Place | None, None, None),
        (Defaults, Defaults(), {"seconds": 5, "place": {"x": 1}}),
        (tuple[float, ...], (1, 2), (1.0, 2)),
    ],
    ids=["number", "nothing", "model", "tuple"],
)
def test_what_nobody_gave_is_no_other_request(annotation: object, default: object, given: object) -> None:
    """A default needs no JSON, and is the same as what equals it once it is checked."""
    work = work_with(annotation, own=default)
    assert work.parse({}).json_values(full=False) == work.parse({"own": given}).json_values(full=False)


@pytest.mark.filterwarnings("ignore::pydantic.json_schema.PydanticJsonSchemaWarning")
def test_a_default_that_is_changed_is_another_request() -> None:
    """Whoever changes a default in its place has given something else."""
    work = work_with(Defaults | list[int], own=[])
    changed = Defaults()
    changed.place.x = 7
    [one, two] = (work.parse({"own": value}).json_values(full=False) for value in (changed, Defaults()))
    assert one != two


def test_defaults_are_of_whoever_runs_it() -> None:
    """What nobody gave is not carried, so that a worker of the version before can run what it knows."""

    def before(*, count: int) -> None: ...

    def after(
        *, count: int, kind: str = "pdf", key: Annotated[UUID, Field(default_factory=uuid4)]
    ) -> None: ...

    old, new = Work(before), Work(after)
    parameters = new.parse({"count": 2})
    assert new.from_json(new.to_json(parameters)).values() == parameters.values()
    assert "kind" not in new.to_json(parameters)
    assert '"kind":"csv"' in new.to_json(new.parse({"count": 2, "kind": "csv"})).replace(" ", "")
    assert new.from_json(old.to_json(old.parse({"count": 2}))).values()["kind"] == "pdf"
    with pytest.raises(ValueError, match="Extra inputs") as error:
        old.from_json('{"count": 2, "password": "hunter2"}')
    assert "hunter2" not in str(error.value)  # which the log of a worker shows


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (list[Any], [{"a": lambda: None}]),
        (Any, b"ab"),
        (dict[str, Any], {"a": {1, 2}}),
    ],
    ids=["function", "bytes", "set"],
)
def test_what_would_reach_a_worker_changed_is_refused(annotation: object, value: object) -> None:
    """What JSON has not all of is refused in words, instead of being less in a worker."""
    work = work_with(annotation)
    with pytest.raises(InvalidParameters, match=r"^own: (It would lose|There is no JSON)"):
        work.to_json(work.parse({"own": value}))


def test_what_has_no_json_is_named() -> None:
    """The error names the parameter that a worker, or a key, can't be told of."""
    work = work_with(Any)
    for value in (object(), {("a", object()): 1}):
        with pytest.raises(InvalidParameters, match=r"^own: There is no JSON for this value$"):
            work.to_json(work.parse({"own": value}))


class Cat(BaseModel):
    """A model that says by a default which one it is."""

    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    """The same for the other."""

    kind: Literal["dog"] = "dog"


FRIENDS = {"a": {1}, "b": {2}}


@pytest.mark.parametrize(
    ("annotation", "one", "two", "same"),
    [
        (dict[str, int], {"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (set[str], set("abcdefghij"), set("jihgfedcba"), True),
        (list[dict[str, set[int]]], [{"a": {1, 9}, "b": set()}], [{"b": set(), "a": {9, 1}}], True),
        (User, {"userId": 1, "friends": FRIENDS}, {"friends": FRIENDS, "userId": 1}, True),
        (list[int], [1, 2], [2, 1], False),
        (SecretStr, SecretStr("a"), SecretStr("b"), False),
        (User, {"userId": 1, "token": "a"}, {"userId": 1, "token": "b"}, False),
        (bytes, b"\xff", b"\xfe", False),
        (list[Any], [5], [5.0], True),
        (Cat | Dog, {"kind": "cat"}, {"kind": "dog"}, False),
    ],
    ids=["object", "set", "nested", "model", "list", "secret", "excluded", "bytes", "number", "union"],
)
def test_equal_parameters_have_equal_json(annotation: object, one: object, two: object, same: bool) -> None:
    """The order of what has none isn't in it; that of a list is, and so is what is secret or left out."""
    work = work_with(annotation)
    first, second = (work.parse({"own": value}).json_values(full=False) for value in (one, two))
    assert (first == second) is same


@pytest.mark.parametrize(
    ("annotation", "value"), [(int, "1"), (int, True), (int, 1.0), (bool, "yes"), (str, 1), (float, "nan")]
)
def test_values_are_not_converted(annotation: object, value: object) -> None:
    """From Python, too, what is not of the type is refused."""
    with pytest.raises(InvalidParameters, match=r"^own: Input should be "):
        work_with(annotation).parse({"own": value})


def defined_as(parameters: str, body: str = "...") -> Callable[..., object]:
    """A function that is written like that."""
    names: dict[str, Any] = {"Field": Field}
    exec(f"def own({parameters}): {body}", names)
    own: Callable[..., object] = names["own"]
    return own


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (defined_as("count=3"), "has to say the type of its parameter 'count'."),
        *(
            (defined_as(parameters), "can't have the parameter 'count': each is passed by its name.")
            for parameters in ("*count: int", "**count: int", "count: int, /")
        ),
        *(
            (
                defined_as(f"*, {name}: str"),
                f"can't have a parameter called '{name}': starting a task has an argument of that name.",
            )
            for name in ("work", "name", "idempotency_key", "scope")
        ),
        (
            defined_as("", "yield"),
            "can't be a generator: make it an async one, or call `report` instead of yielding.",
        ),
        (Speaker, "can't be a class: decorate a function."),
        (
            defined_as("*, count: int = Field(5, ge=1)"),
            "can't have Field(…) as the default of 'count': write count: Annotated[…, Field(…)] = ….",
        ),
    ],
)
def test_what_can_not_be_work(function: Callable[..., object], sentence: str) -> None:
    """A function that can't be work is refused at once: a sentence that says why."""
    with pytest.raises(TypeError) as error:
        Work(function, "own")
    assert str(error.value) == f"The work 'own' {sentence}"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated where they stand")
def test_annotations_that_need_no_quotes() -> None:
    """A name is asked for at first use, and what a function returns isn't asked for at all."""
    names: dict[str, Any] = {}
    exec(compile("def own(*, count: list[Later]) -> Unknown: ...", "own", "exec", dont_inherit=True), names)
    work = Work(names["own"])
    names["Later"] = int
    assert work.parse({"count": [2]}).values() == {"count": [2]}


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ("Unknown", "has an annotation that can't be read: name 'Unknown' is not defined."),
        ("in valid", "has an annotation that can't be read: "),
        (Thread, "has a parameter of a type that JSON has nothing for: "),
        (Callable[[], int], "has a parameter of a type that JSON has nothing for: "),
    ],
)
def test_types_that_can_not_be_checked(annotation: object, sentence: str) -> None:
    """Types are looked at when everything is defined, and what they don't say is told in a sentence."""
    works = WorkTable()
    works.add(work_with(annotation))
    with pytest.raises(TypeError) as error:
        works.check()
    assert str(error.value).startswith(f"The work 'work' {sentence}")
    assert "\n" not in str(error.value)


def test_finding_work() -> None:
    """Work is found by its function, also a method's, or by its name, which is only its own."""
    speaker = Speaker()
    works = WorkTable()
    for function in (generator, speaker.method):
        works.add(Work(function))
    assert works.get(generator) is works.get("generator")
    assert works.get(speaker.method) is works.get("method")
    with pytest.raises(TypeError, match=r"^'coroutine' is no work of this TaskStream: decorate it .*\.$"):
        works.get(coroutine)
    with pytest.raises(InvalidParameters, match=r"^work: There is no work called 'x', only: generator, "):
        works.get("x")
    with pytest.raises(InvalidParameters, match=r"^work: There is no work called 'x': none is registered$"):
        WorkTable().get("x")
    with pytest.raises(ValueError, match=r"^There are two works called 'generator': give one of .*\.$"):
        works.add(Work(generator))
    works.add(Work(generator, "another"))
    assert list(works.public) == ["generator", "method", "another"]


class Nested:
    """A type that has itself in it, as one of `type Nested = …` can."""

    @property
    def __value__(self) -> object:
        return tuple[self, Iterator[int]]  # type: ignore[valid-type]


ONCE = "can be read only once: make it a list, or a Sequence"
REQUEST = "is of a request ({}): take it in a route of your own"


@pytest.mark.parametrize(
    ("annotation", "defaults", "sentence"),
    [
        (UploadFile, {}, REQUEST.format("UploadFile")),
        (Annotated[list[UploadFile] | None, Field()], {"own": None}, REQUEST.format("UploadFile")),
        (Request, {}, REQUEST.format("Request")),
        (Annotated[int, Depends(len)], {}, REQUEST.format("Depends")),
        (int, {"own": Depends(len)}, REQUEST.format("Depends")),
        (Annotated[str, Header()], {}, REQUEST.format("Header")),
        (BackgroundTasks, {}, REQUEST.format("BackgroundTasks")),
        (Iterable[int], {}, ONCE),
        (dict[str, Iterator[int]] | None, {}, ONCE),
        (Annotated[Generator[int], Field()], {}, ONCE),
        pytest.param(Nested(), {}, ONCE, id="Nested"),
    ],
)
def test_what_no_task_can_be_given(annotation: object, defaults: dict[str, object], sentence: str) -> None:
    """What FastAPI would fill, or a key would have read to its end, is refused when it is registered."""
    with pytest.raises(TypeError, match=re.escape(f"can't have the parameter 'own', which {sentence}")):
        work_with(annotation, **defaults)
