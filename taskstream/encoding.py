"""JSON of anything: what work adds to its updates must not be able to break a stream."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial

import pydantic_core
from pydantic_core import PydanticSerializationError

encode = partial(pydantic_core.to_json, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=True)


def to_json(value: object) -> bytes:
    """One line of UTF-8. What JSON has no word for becomes a string; bytes do in URL-safe base64."""
    try:
        return encode(value)
    except PydanticSerializationError:
        return encode(without_surrogates(value))


def without_surrogates(value: object, inside: tuple[object, ...] = ()) -> object:
    """The same with `?` for each half of a surrogate pair, which UTF-8 has no bytes for."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if any(value is each for each in inside):  # a list that contains itself
        return "..."
    clean = partial(without_surrogates, inside=(*inside, value))
    if isinstance(value, Mapping):
        return {clean(key) if isinstance(key, str) else key: clean(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(each) for each in value]
    if is_dataclass(value):
        return {field.name: clean(getattr(value, field.name)) for field in fields(value)}
    try:
        encode(value)
    except PydanticSerializationError:  # such as the path of a file with a strange name
        return clean(str(value))
    return value
