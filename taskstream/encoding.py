"""JSON of anything: what work adds to its updates must not be able to break a stream."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from itertools import islice

import pydantic_core

from taskstream.updates import InvalidUpdate, type_name

MAX_DEPTH = 100
"""Arrays and objects in one another; pydantic's parser reads up to 200."""

PIECE_LENGTH = 1000
"""Items that are encoded in one go, while no other thread can run."""

SCALARS = frozenset((str, int, float, bool, type(None)))
ARRAYS = frozenset((list, tuple, set, frozenset, deque))
OBJECTS = frozenset((dict, OrderedDict, defaultdict))


class Json(bytes):
    """JSON that has been made, and is to be put into other JSON as it stands."""

    __slots__ = ()


def to_json(value: object) -> bytes:
    """One line of UTF-8 that every client reads, whatever the value is.

    What JSON has no word for becomes a string, iterators among it; bytes do in URL-safe base64, and arrays
    and scalars of numpy or pandas lists and numbers; what is nested too deeply, or in itself, is `"..."`.
    """
    return b"".join(pieces(value))


def frozen(value: object, iterators: bool = True) -> object:
    """The value as JSON has it at this moment: later changes of it don't show.

    Raises `InvalidUpdate` for an iterator, unless it may have `iterators`.
    """
    if value is None or type(value) is int or type(value) is bool or type(value) is Json:
        return value  # which nothing changes
    return Json(b"".join(pieces(value, iterators)))


def pieces(value: object, iterators: bool = True, inside: tuple[object, ...] = ()) -> Iterator[bytes]:
    """The JSON of a value bit by bit, so that a large one holds up neither its thread's loop nor others."""
    kind = type(value)
    if len(inside) > MAX_DEPTH or any(value is each for each in inside):
        yield b'"..."'
    elif kind in ARRAYS:
        yield from pieces_of_array(value, iterators, (*inside, value))  # type: ignore[arg-type]
    elif kind in OBJECTS:
        yield from pieces_of_object(value, iterators, (*inside, value))  # type: ignore[arg-type]
    elif isinstance(value, Json):
        yield value
    elif not hasattr(kind, "__next__"):
        yield json_of(value)
    elif iterators:
        yield json_of(text_of(value))
    else:
        raise InvalidUpdate(f"The data has a {type_name(value)} in it, which is no JSON: make it a list")


def pieces_of_array(
    values: Iterable[object], iterators: bool, inside: tuple[object, ...]
) -> Iterator[bytes]:
    """The JSON of what is an array there."""
    items = iter(values if type(values) is list else list(values))  # a set may grow meanwhile
    comma = b"["
    while piece := list(islice(items, PIECE_LENGTH)):
        yield comma
        comma = b","
        if set(map(type, piece)) <= SCALARS:
            yield json_of(piece)[1:-1]
            continue
        for number, each in enumerate(piece):
            if number:
                yield comma
            yield from pieces(each, iterators, inside)
    yield b"]" if comma == b"," else b"[]"


def pieces_of_object(
    values: Mapping[object, object], iterators: bool, inside: tuple[object, ...]
) -> Iterator[bytes]:
    """The JSON of what is an object there."""
    if len(values) <= PIECE_LENGTH and set(map(type, values.values())) <= SCALARS:
        yield json_of(values)
        return
    comma = b"{"
    for key, each in list(values.items()):
        yield comma + json_of({key: None})[1:-5]
        comma = b","
        yield from pieces(each, iterators, inside)
    yield b"}"


def json_of(value: object) -> bytes:
    """The JSON of a value in one piece."""
    try:
        json = encode(value)
        if json.count(b"[") + json.count(b"{") > MAX_DEPTH:
            pydantic_core.from_json(json)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return encode(plain(value))
    return json


def known(value: object) -> object:
    """What stands for a value of a type that pydantic doesn't know: numbers for numpy's, else text."""
    try:
        return value.tolist()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - it has none, or something else by that name
        return text_of(value)


encode = partial(pydantic_core.to_json, bytes_mode="base64", inf_nan_mode="strings", fallback=known)


def plain(value: object, inside: tuple[object, ...] = ()) -> object:
    """The same of nothing but dicts, lists, strings, numbers and booleans: slow, but it never fails."""
    if len(inside) > MAX_DEPTH or any(value is each for each in inside):
        return "..."
    inside = (*inside, value)
    try:
        match value:
            case str():
                return plain_text(value)
            case Mapping():
                return {key_of(key): plain(each, inside) for key, each in value.items()}
            case list() | tuple() | set() | frozenset():
                return [plain(each, inside) for each in value]
            case _ if is_dataclass(value) and not isinstance(value, type):
                return {each.name: plain(getattr(value, each.name), inside) for each in fields(value)}
        return pydantic_core.from_json(encode(value))
    except Exception:  # noqa: BLE001 - such as an enum of surrogates, or a datetime with a broken time zone
        return plain_text(text_of(value))


def key_of(key: object) -> str:
    """The key as JSON has it: a string."""
    if isinstance(key, str):
        return plain_text(key)
    try:
        (name,) = pydantic_core.from_json(encode({key: None}))
    except Exception:  # noqa: BLE001 - a key of a type that JSON has no string for
        name = text_of(key)
    return plain_text(name)


def plain_text(text: str) -> str:
    """The text with `?` for half of a surrogate pair, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "replace").decode("utf-8")


def text_of(value: object) -> str:
    """What Python calls the value, or at least its type."""
    try:
        return str(value)
    except BaseException:  # noqa: BLE001 - whatever its own method raises
        return f"<Unserializable {type(value).__name__} object>"
