"""JSON of anything: what work adds to its updates must not be able to break a stream."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial

import pydantic_core

encode = partial(pydantic_core.to_json, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=True)

PLAIN = (str, int, float, bool, type(None))
"""Values that nobody can change."""

MAX_DEPTH = 100
"""Arrays and objects in one another; pydantic's parser reads up to 200."""

MAX_DIGITS = 4300
"""The longest integer that Python reads from JSON (`sys.set_int_max_str_digits`)."""
LONG_NUMBER = re.compile(rb"(?<!\d)\d{%d}" % (MAX_DIGITS + 1))
TOO_LARGE = 10**MAX_DIGITS


def to_json(value: object) -> bytes:
    """One line of UTF-8 that every client reads, whatever the value is.

    What JSON has no word for becomes a string; bytes do in URL-safe base64; an integer of more than 4 300
    digits does in hexadecimal; and what is nested too deeply, or in itself, is `"..."`.
    """
    try:
        json = encode(value)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return encode(plain(value))
    return json if readable(json) else encode(plain(value))


def readable(json: bytes) -> bool:
    """Whether parsers read it, which have their limits."""
    if len(json) > MAX_DIGITS and LONG_NUMBER.search(json):
        return False
    if json.count(b"[") + json.count(b"{") <= MAX_DEPTH:
        return True
    try:
        pydantic_core.from_json(json)
    except ValueError:
        return False
    return True


def frozen(value: object) -> object:
    """The value as JSON has it at this moment: later changes of it don't show."""
    if isinstance(value, PLAIN):
        return value
    return pydantic_core.from_json(to_json(value))


def plain(value: object, inside: tuple[object, ...] = ()) -> object:
    """The same of nothing but dicts, lists, strings, numbers and booleans: slow, but it never fails."""
    if len(inside) > MAX_DEPTH or any(value is each for each in inside):
        return "..."
    try:
        return plain_parts(value, (*inside, value))
    except Exception:  # noqa: BLE001 - such as an enum of surrogates, or a datetime with a broken time zone
        return plain_text(text_of(value))


def plain_parts(value: object, inside: tuple[object, ...]) -> object:
    """The same of the value, whose parts are `inside` it. Raises whatever its own methods raise."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, int) and abs(value) >= TOO_LARGE:
        return hex(value)
    if isinstance(value, Mapping):
        return {key_of(key): plain(each, inside) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each, inside) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        # A field may be missing from an object that was never initialized.
        present = [field.name for field in fields(value) if hasattr(value, field.name)]
        return {plain_text(name): plain(getattr(value, name), inside) for name in present}
    encode(value)
    return value


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
        return str.__str__(str(value))  # of `str` itself: methods of a class that inherits from it may fail
    except BaseException:  # noqa: BLE001 - whatever its own method raises
        return f"<{type(value).__name__}>"
