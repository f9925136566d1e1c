"""JSON of anything: what work adds to its updates must not be able to break a stream."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial

import pydantic_core

encode = partial(pydantic_core.to_json, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=True)

MAX_DEPTH = 100
"""Arrays and objects in one another; pydantic's parser reads up to 200."""


def to_json(value: object) -> bytes:
    """One line of UTF-8 that every client reads, whatever the value is.

    What JSON has no word for becomes a string, iterators among it; bytes do in URL-safe base64; what is
    nested too deeply, or in itself, is `"..."`.
    """
    try:
        json = encode(text_of(value) if isinstance(value, Iterator) else value)
        if json.count(b"[") + json.count(b"{") > MAX_DEPTH:
            pydantic_core.from_json(json)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        json = encode(plain(value))
    return json if json.isascii() else one_line(json)


def one_line(json: bytes) -> bytes:
    """The same without what isn't the end of a line, but taken for one by Python's `str.splitlines`."""
    for end in ("\x85", "\u2028", "\u2029"):
        json = json.replace(end.encode(), b"\\u%04x" % ord(end))
    return json


def frozen(value: object) -> object:
    """The value as JSON has it at this moment: later changes of it don't show, and it can be encoded."""
    if value is None or type(value) is int or type(value) is bool:
        return value
    return pydantic_core.from_json(to_json(value))


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
        return f"<{type(value).__name__}>"
