"""JSON of anything: what work adds to its updates must not be able to break a stream."""

import re
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pydantic_core

from taskstream.updates import InvalidUpdate

MAX_DEPTH = 100
"""Arrays and objects in one another; pydantic's parser reads up to 200."""

MAX_DIGITS = 4300
"""Of a number that Python's `json` reads."""

LONG_NUMBER = re.compile(rb"\d{%d}" % (MAX_DIGITS + 1))

PIECE_LENGTH = 1000
"""Items that are encoded in one go, while no other thread can run."""

SCALARS = frozenset((str, int, float, bool, type(None)))
CONTAINERS = frozenset((list, tuple, set, frozenset, deque, dict, OrderedDict, defaultdict))


class Json(bytes):
    """JSON that has been made, and is to be put into other JSON as it stands."""

    __slots__ = ()


def to_json(value: object, iterators: bool = True) -> Json:
    """One line of UTF-8 that every client reads, whatever the value is; later changes of it don't show.

    What JSON has no word for becomes a string, iterators among it; bytes do in URL-safe base64, and arrays
    and scalars of numpy or pandas lists and numbers; what is nested too deeply, or in itself, is `"..."`.
    Raises `InvalidUpdate` for an iterator, unless there may be `iterators`.
    """
    return value if isinstance(value, Json) else Json(b"".join(pieces(value, iterators)))


def pieces(value: object, iterators: bool = True, inside: tuple[object, ...] = ()) -> Iterator[bytes]:
    """The JSON of a value bit by bit, so that a large one holds up neither its thread's loop nor others."""
    kind = type(value)
    if len(inside) > MAX_DEPTH or any(value is each for each in inside):
        yield b'"..."'
    elif kind in CONTAINERS:
        yield from pieces_of_items(value, iterators, (*inside, value))
    elif isinstance(value, Json):
        yield value
    elif hasattr(kind, "__array__") and isinstance(items := known(value), list):
        yield from pieces_of_items(items, iterators, (*inside, value))
    elif hasattr(kind, "__next__") and not iterators:
        raise InvalidUpdate(f"The data has a {kind.__name__} in it, which is no JSON: make it a list")
    else:
        json = None if hasattr(kind, "__next__") else encoded(value)
        yield one_line(encode(text_of(value))) if json is None else json


def pieces_of_items(value: Any, iterators: bool, inside: tuple[object, ...]) -> Iterator[bytes]:  # noqa: ANN401
    """The JSON of an array, or of an object; scalars in batches, each of which is encoded at once."""
    if json := encoded_scalars(value):
        yield json
        return
    is_object = isinstance(value, dict)
    items = list(value.items() if is_object else value)  # it may grow meanwhile
    before, end = (b"{", b"}") if is_object else (b"[", b"]")
    is_long = len(items) > PIECE_LENGTH  # else all of it has been tried
    for start in range(0, len(items), PIECE_LENGTH):
        batch = items[start : start + PIECE_LENGTH]
        if is_long and (json := encoded_scalars(dict(batch) if is_object else batch)):
            yield before + json[1:-1]
            before = b","
            continue
        for item in batch:
            key, each = item if is_object else (None, item)
            yield before + (one_line(encode(key_of(key))) + b":" if is_object else b"")
            before = b","
            yield from pieces(each, iterators, inside)
    yield end if items else before + end


def encoded_scalars(items: Any) -> bytes | None:  # noqa: ANN401
    """The JSON of an array or an object in one piece, if that has few items, and only scalars."""
    if len(items) > PIECE_LENGTH:
        return None
    kinds = set(map(type, items.values() if isinstance(items, dict) else items))
    return encoded(items) if kinds <= SCALARS else None


def key_of(key: object) -> str:
    """The name of a member: pydantic's if it has one, else text."""
    if not isinstance(key, str):
        with suppress(Exception):
            key = member_name(key)
    return plain_text(key) if isinstance(key, str) else text_of(key)


def member_name(key: object) -> str:
    """The name that pydantic gives a member of an object. Raises `ValueError` for a key that has none."""
    (name,) = pydantic_core.to_jsonable_python({key: None})
    return str(name)


def encoded(value: object) -> bytes | None:
    """The JSON of a value in one piece; `None` if it has none, or none that every client reads."""
    try:
        json = encode(value)
        if json.count(b"[") + json.count(b"{") > MAX_DEPTH:
            pydantic_core.from_json(json)
        if len(json) > MAX_DIGITS and LONG_NUMBER.search(json):
            return None
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return None
    return one_line(json)


def one_line(json: bytes) -> bytes:
    """The same without what isn't the end of a line, but taken for one by Python's `str.splitlines`."""
    if not json.isascii():
        for end in ("\x85", "\u2028", "\u2029"):
            json = json.replace(end.encode(), b"\\u%04x" % ord(end))
    return json


def known(value: object) -> object:
    """What stands for a value of a type that pydantic doesn't know: numbers for numpy's, else text."""
    try:
        return value.tolist()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - it has none, or something else by that name
        return text_of(value)


encode = partial(pydantic_core.to_json, bytes_mode="base64", inf_nan_mode="strings", fallback=known)


def plain_text(text: str) -> str:
    """The text with `?` for half of a surrogate pair, which UTF-8 has no bytes for."""
    return str.encode(text, "utf-8", "replace").decode("utf-8")


def text_of(value: object) -> str:
    """What Python calls the value, or at least its type."""
    try:
        return plain_text(str(value))
    except BaseException:  # noqa: BLE001 - whatever its own method raises
        return f"<Unserializable {type(value).__name__} object>"
