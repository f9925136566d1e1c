"""What makes two starts the same: their keys, and JSON that is equal for equal parameters."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import pydantic_core
from pydantic import BaseModel, RootModel, Secret, SecretBytes, SecretStr

from taskstream.encoding import member_name, to_json
from taskstream.errors import IDEMPOTENCY_KEY, InvalidParameters

QUOTED = r'"(?:[ !#-\[\]-~]|\\["\\]){1,255}"'
"""A string of RFC 8941, section 3.3.3, as the draft of the header has it."""
BARE = r"[!#-~][ -~]{0,254}"
"""The same without quotes, as most clients send it."""
PATTERN = f"^(?:{QUOTED}|{BARE})$"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes a start that is sent again the same start."""

    key: str
    """Unique for each intended task, within the application."""
    fingerprint: str
    """Equal for equal work, parameters and name."""

    @classmethod
    def of(cls, text: str, scope: str | None, start: list[str]) -> "IdempotencyKey":
        """The key that a client has sent, in or without quotes, for what it starts.

        Raises `InvalidParameters`.
        """
        if not re.fullmatch(PATTERN, text):
            message = "A key has 1 to 255 printable ASCII characters, in quotes or without"
            raise InvalidParameters.of(IDEMPOTENCY_KEY, message, "header")
        key = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
        fingerprint = hashlib.sha256(to_json(start)).hexdigest()
        return cls(to_json([scope, key]).decode(), fingerprint)


json_of = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode
"""The JSON of what `canonical` returns, with the members of objects in the order of their names."""


def members(value: Any, full: bool = True) -> dict[str, Any]:  # noqa: ANN401 - a model, or of a dataclass
    """The fields of a value; of a model, needless ones only if it is to be `full`, and its extra ones.

    Not `dict(model)`: what a model iterates over may be something else.
    """
    if not isinstance(value, BaseModel):
        return {each.name: getattr(value, each.name) for each in fields(value) if each.init}
    names = (name for name in type(value).model_fields if full or not is_needless(value, name))
    return {name: getattr(value, name) for name in names} | (value.model_extra or {})


def is_needless(model: BaseModel, name: str) -> bool:
    """Whether nobody gave a field, and its default has no JSON, or its factory makes another each time."""
    if name in model.model_fields_set:
        return False
    field = type(model).model_fields[name]
    try:
        own = canonical(getattr(model, name), full=False)
        if field.default_factory is None:
            return False
        another = field.get_default(call_default_factory=True, validated_data=members(model))
        return bool(canonical(another, full=False) != own)
    except ValueError:
        return True


def canonical(value: object, base64_bytes: bool = True, full: bool = True) -> Any:  # noqa: ANN401 - whatever JSON has
    """What the JSON of a value is made of: items of sets sorted, secrets in clear; workers read it back.

    Fields that are left out elsewhere are there, and computed ones aren't. Bytes become base64, but for
    models, which read UTF-8. Unless it is to be `full`, needless fields are left out, and 5.0 is 5. Raises
    `ValueError` for what has no JSON.
    """
    inner = partial(canonical, full=full)
    match value:
        case SecretStr() | SecretBytes() | Secret():
            return inner(value.get_secret_value(), base64_bytes)
        case RootModel():
            return inner(value.root, False)
        case BaseModel():
            return inner(members(value, full), False)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return inner(members(value), False)
        case Mapping():
            return {member_name(key): inner(each, base64_bytes) for key, each in value.items()}
        case set() | frozenset():
            return sorted((inner(each, base64_bytes) for each in value), key=json_of)
        case list() | tuple():
            return [inner(each, base64_bytes) for each in value]
        case float() if not full and value.is_integer():
            return int(value)
        case bytes() if base64_bytes:
            return base64.urlsafe_b64encode(value).decode()
    return pydantic_core.to_jsonable_python(value, inf_nan_mode="constants")


def alike(one: Any, two: Any) -> bool:  # noqa: ANN401 - whatever JSON has
    """Whether values are equal, or made of the same fields: their private attributes are made with them."""
    if type(one) is type(two) and one != two:
        match one:
            case BaseModel():
                return alike(members(one), members(two))
            case _ if is_dataclass(one) and not isinstance(one, type):
                return alike(members(one), members(two))
            case dict():
                return one.keys() == two.keys() and all(alike(one[key], two[key]) for key in one)
            case list() | tuple():
                return len(one) == len(two) and all(alike(*pair) for pair in zip(one, two, strict=True))
    return bool(one == two)
