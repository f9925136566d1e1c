"""JSON of anything: what work adds to its updates must not be able to break a stream."""

from collections import OrderedDict, defaultdict, deque
from contextlib import suppress
from functools import partial

import pydantic_core

MAX_DEPTH = 100
"""Arrays and objects in one another; pydantic's parser reads up to 200."""

MAX_INTEGER = 10**4300
"""What Python's `json` doesn't read any more."""

ARRAYS = frozenset((list, tuple, set, frozenset, deque))
OBJECTS = frozenset((dict, OrderedDict, defaultdict))


class Json(bytes):
    """JSON that has been made, and is to be put into other JSON as it stands."""

    __slots__ = ()


def to_json(value: object) -> Json:
    """One line of UTF-8 that every client reads, whatever the value is.

    What JSON has no word for becomes a string, iterators among it; bytes do in URL-safe base64, and arrays
    and scalars of numpy or pandas lists and numbers; what is nested too deeply, or in itself, is `"..."`.
    """
    return value if isinstance(value, Json) else Json(one_line(encode(plain(value))))


def plain(value: object, inside: tuple[object, ...] = ()) -> object:
    """The same in Python: nothing that has methods of its own, or that changes later."""
    try:
        if isinstance(value, str):
            return plain_text(value)
        if value is None or isinstance(value, float):
            return value
        if isinstance(value, int) and -MAX_INTEGER < value < MAX_INTEGER:
            return value
        if len(inside) > MAX_DEPTH or any(value is each for each in inside):
            return "..."
        kind = type(value)  # not of a subclass, whose items may have no end
        if isinstance(value, dict) and kind in OBJECTS:
            return {key_of(key): plain(each, (*inside, value)) for key, each in list(value.items())}
        if kind in ARRAYS:
            return [plain(each, (*inside, value)) for each in list(value)]  # type: ignore[call-overload]
        if hasattr(kind, "__next__"):
            return text_of(value)
        return plain(pydantic_core.from_json(encode(value)), inside)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return text_of(value)


def key_of(key: object) -> str:
    """The name of a member, as pydantic has it."""
    if not isinstance(key, str):
        with suppress(Exception):
            [key] = pydantic_core.to_jsonable_python({key: None})
    return plain_text(key) if isinstance(key, str) else text_of(key)


def one_line(json: bytes) -> bytes:
    """The same without what isn't the end of a line, but taken for one by Python's `str.splitlines`."""
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
