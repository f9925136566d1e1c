"""JSON of anything: what work adds to its updates must not be able to break a stream."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial

import pydantic_core

encode = partial(pydantic_core.to_json, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=True)

PLAIN = (str, int, float, bool, type(None))
"""Values that nobody can change."""

MAX_DIGITS = 4300
"""The longest integer that Python reads from JSON (`sys.set_int_max_str_digits`)."""
LONG_NUMBER = re.compile(rb"\d{%d}" % MAX_DIGITS)


def to_json(value: object) -> bytes:
    """One line of UTF-8 that every client reads, whatever the value is.

    What JSON has no word for becomes a string; bytes do in URL-safe base64; an integer of more than 4 300
    digits does in hexadecimal.
    """
    try:
        json = encode(value)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return encode(plain(value))
    if len(json) > MAX_DIGITS and LONG_NUMBER.search(json):
        return encode(plain(value))
    return json


def frozen(value: object) -> object:
    """The value as JSON has it at this moment: later changes of it don't show."""
    if isinstance(value, PLAIN):
        return value
    return pydantic_core.from_json(to_json(value))


def plain(value: object, inside: tuple[object, ...] = ()) -> object:
    """The same of nothing but dicts, lists, strings, numbers and booleans: slow, but it never fails."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")  # `?` for half of a surrogate pair
    if isinstance(value, int) and value.bit_length() > 3 * MAX_DIGITS:
        return hex(value)
    if any(value is each for each in inside):  # a list that contains itself
        return "..."
    clean = partial(plain, inside=(*inside, value))
    if isinstance(value, Mapping):
        return {key_of(key): clean(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        # A field may be missing from an object that was never initialized.
        present = [field.name for field in fields(value) if hasattr(value, field.name)]
        return {name: clean(getattr(value, name)) for name in present}
    try:
        encode(value)
    except Exception:  # noqa: BLE001 - such as an enum of surrogates, or a datetime with a broken time zone
        return clean(text_of(value))
    return value


def key_of(key: object) -> str:
    """The key as JSON has it: a string."""
    if isinstance(key, str):
        return key.encode("utf-8", "replace").decode("utf-8")
    try:
        (name,) = pydantic_core.from_json(encode({key: None}))
    except Exception:  # noqa: BLE001 - a key of a type that JSON has no string for
        name = text_of(key).encode("utf-8", "replace").decode("utf-8")
    return str(name)


def text_of(value: object) -> str:
    """What Python calls the value, or at least its type."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever its own method raises
        return f"<{type(value).__name__}>"
