"""JSON of anything: one line that every client reads."""

import itertools
import json
from collections import OrderedDict, UserDict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pydantic_core
import pytest
from hypothesis import given, settings, strategies as st

from taskstream.encoding import pieces, to_json
from taskstream.updates import InvalidUpdate


class Silent:
    """An object that can't even say what it is."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)
BROKEN_CIRCLE: list[object] = ["\ud800"]
BROKEN_CIRCLE.append(BROKEN_CIRCLE)
DEEP: list[object] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00Z"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Path("a") / "b", "a/b"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (b"\xff\xfe", "__4="),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "1,2": "c"}),
        ({7}, [7]),
        ("\ud800 alone", "? alone"),
        ({"\udfff": ["\ud800", datetime(2026, 1, 31, tzinfo=UTC)]}, {"?": ["?", "2026-01-31T00:00:00Z"]}),
        (Path("\udcff.txt"), "?.txt"),
        (Silent(), "<Unserializable Silent object>"),
        ([Silent(), "\ud800"], ["<Unserializable Silent object>", "?"]),
        (CIRCLE, ["..."]),
        (BROKEN_CIRCLE, ["?", "..."]),
        ({(1, 2): "\ud800"}, {"1,2": "?"}),
        (10**30, 10**30),
        ({"a": [7, 10**5000, "8" * 5000]}, {"a": [7, "<Unserializable int object>", "8" * 5000]}),
        (ValueError("text"), "text"),
        ("two\nlines\r\u2028", "two\nlines\r\u2028"),
        ("\ud800\u2028", "?\u2028"),
        ({"\u2028": [[]]}, {"\u2028": [[]]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_json_of_anything(value: object, expected: object) -> None:
    """Whatever work adds to an update becomes one line of JSON."""
    line: bytes = to_json(value)
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line.decode("utf-8")) == expected


class Surrogate(Enum):
    """An enum whose values UTF-8 has no bytes for."""

    HALF = "\ud800"
    PAIR = ("\ud800", "\udfff")


@dataclass
class Point:
    """A dataclass with two fields."""

    x: object
    y: object


ODD: list[object] = [
    {frozenset(): 1},
    {("\ud800",): 1},
    {frozenset({("\ud800",)}): {("a", "\udfff"): Silent()}},
    {Silent(): 1},
    {10**30: 1},
    {None: {True: {1.5: {b"\xff": 1}}}},
    Surrogate.HALF,
    [Surrogate.PAIR, {Surrogate.HALF: Surrogate.PAIR}],
    Point("\ud800", [Silent()]),
    Point,
    "7" * 10_000,
    UserDict({"\ud800": 1}),
    OrderedDict({"\ud800": 1}),
    DEEP,
    [DEEP, "\ud800"],
    {"a": [CIRCLE, BROKEN_CIRCLE, Silent()]},
    Exception("\ud800"),
    memoryview(b"\xff"),
    range(3),
    itertools.repeat,
    Decimal("sNaN"),
    complex(1, 2),
    {1: "a", "1": "b", "\ud800": 0},
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_every_parser_reads_it(value: object) -> None:
    """However odd a value is, Python's parser, pydantic's and JavaScript's read what it becomes."""
    line: bytes = to_json({"data": value})
    assert b"\n" not in line
    text = line.decode("utf-8")
    for read in (json.loads(text), pydantic_core.from_json(line)):
        assert list(read) == ["data"]
    assert json.loads(to_json(to_json(value))) == json.loads(to_json(value))


odd = st.integers(0, len(ODD) - 1).map(lambda number: ODD[number])
"""One of those, without their `repr`, which hypothesis would ask for."""


@settings(max_examples=50)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), odd),
        lambda inner: st.one_of(
            st.lists(inner), st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner)
        ),
        max_leaves=20,
    )
)
def test_whatever_hypothesis_thinks_of(value: object) -> None:
    """Odd values in any nesting become JSON, and the same by the slow way if there is a surrogate."""
    for each in (value, [value, "\ud800"]):
        json.loads(to_json(each).decode("utf-8"))


def test_frozen_is_what_was_there() -> None:
    """What is frozen stays as it was."""
    found: dict[str, list[int]] = {"rows": [1]}
    kept = to_json(found)
    found["rows"].append(2)
    assert json.loads(to_json(kept)) == {"rows": [1]}
    for value in ("text", 7, 1.5, None, True):
        assert json.loads(to_json(to_json(value))) == value


class Numpy:
    """A number, or an array of them, as numpy, pandas and others have them."""

    def __init__(self, value: object) -> None:
        self.value = value

    def tolist(self) -> object:
        """What it is in Python."""
        return self.value


@dataclass
class Table:
    """A dataclass that holds some."""

    mean: object


def test_numbers_of_libraries() -> None:
    """What can say what it is in Python is that in JSON, also in a model; a class can't say so."""
    values = {"all": Numpy(False), "sum": Numpy(6), 1: [Numpy([1, [2.5]])], "table": Table(Numpy(2.0))}
    expected = {"all": False, "sum": 6, "1": [[1, [2.5]]], "table": {"mean": 2.0}}
    assert json.loads(to_json(values)) == expected
    assert json.loads(to_json(Numpy(list(range(2000))))) == list(range(2000))
    assert "class" in json.loads(to_json({"type": Numpy}))["type"]
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["2026-01-31", None], dtype="datetime64[ns]")
    assert json.loads(to_json(series)) == ["2026-01-31T00:00:00", "NaT"]
    assert len([*pieces(pandas.Series([0.5] * 5000), iterators=False)]) > 4  # others have turns meanwhile


ENDLESS: list[object] = [
    itertools.count(),
    {"a": [map(str, itertools.count())]},
    [(1, itertools.cycle("ab"))],
    ({"b": {"c": (each for each in itertools.repeat(1))}},),
]


@pytest.mark.parametrize("value", ENDLESS, ids=["alone", "in a list", "in a tuple", "generator"])
def test_iterators(value: object) -> None:
    """An iterator is never iterated: it is text, or refused where that is asked for."""
    text = to_json(value).decode()
    assert " object" in text or "count(" in text
    with pytest.raises(InvalidUpdate, match="make it a list"):
        to_json(value, iterators=False)


@pytest.mark.parametrize(
    "value",
    [
        list(range(2500)),
        [[]] * 1001,
        [{"a": [number, [number]]} for number in range(1000)],
        [{"a": [1, 2]}, {}, [], 7, "text"] * 700,
        {str(number): number for number in range(2500)},
        {"a": {"b": [list(range(1001))]}, "c": {}},
        set(range(1500)),
        "text",
        [],
        {},
    ],
    ids=lambda value: type(value).__name__,
)
def test_pieces(value: Any) -> None:
    """In pieces or in one, it is the same JSON; however many arrays there are, only deep ones are cut."""
    assert json.loads(to_json(value)) == (sorted(value) if isinstance(value, set) else value)
