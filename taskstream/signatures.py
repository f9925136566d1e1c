"""Signatures: what the functions that are work may ask for."""

import inspect
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import Field
from pydantic.fields import FieldInfo

if sys.version_info >= (3, 14):  # where asking for an annotation is what evaluates it
    from annotationlib import Format

    signature_of = partial(inspect.signature, annotation_format=Format.FORWARDREF)
else:
    signature_of = inspect.signature

Function = Callable[..., object]

PREFIX = "parameter_"
"""Of the names of fields: a parameter may be called like a method of pydantic's models."""

RESERVED = frozenset({"work", "name", "idempotency_key", "scope"})
"""What `start` and `POST /start-task` call their own arguments."""


class UnreadableAnnotation(TypeError):
    """An annotation names what isn't defined, or not yet."""


def problem_of(function: Function) -> str | None:
    """Why a function can't be work, in words that follow its name, if it can't."""
    if inspect.isclass(function):
        return "can't be a class: decorate a function"
    if inspect.isgeneratorfunction(called(function)):
        return "can't be a generator: make it an async one, or call `report` instead of yielding"
    for name, parameter in signature_of(function).parameters.items():
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            return f"can't have the parameter '{name}': each is passed by its name"
        if name in RESERVED:
            return f"can't have a parameter called '{name}': starting a task has an argument of that name"
        if parameter.annotation is parameter.empty:
            return f"has to say the type of its parameter '{name}'"
        if type(parameter.default) is FieldInfo:  # which a plain call of the function would be given
            return (
                f"can't have Field(…) as the default of '{name}': write {name}: Annotated[…, Field(…)] = …"
            )
    return None


def parts_of(annotation: object) -> list[object]:
    """An annotation and all that it is made of, once each: a type with a name may have itself in it."""
    parts = [annotation]
    for part in parts:  # which grows
        named = (getattr(part, name, None) for name in ("__value__", "__supertype__", "__bound__"))
        for inner in (*named, *get_args(part)):
            if not any(inner is known for known in parts):
                parts.append(inner)
    return parts


def read_once(part: object) -> bool:
    """Whether this is what can be read only once."""
    kind = get_origin(part) or part
    return any(kind is each for each in (Iterable, Iterator, Generator))


def part_of_request(part: object) -> str | None:
    """What this asks FastAPI for, which has nothing to do with work."""
    kind = part if inspect.isclass(part) else type(part)
    return kind.__name__ if kind.__module__.partition(".")[0] in ("fastapi", "starlette") else None


def name_of(function: Function) -> str:
    """What a function is called; an object that can be called, as its class."""
    return str(getattr(function, "__name__", type(function).__name__))


def written(function: Function, stop: Callable[[Function], bool] | None = None) -> Function:
    """The function as it was before it was decorated; of an object that can be called, its method."""
    function = inspect.unwrap(function, stop=stop)
    if isinstance(function, partial):
        return written(function.func, stop)
    return function if inspect.isroutine(function) else type(function).__call__


def called(function: Function) -> Function:
    """What says how it is to be called: a decorator that says nothing passes on what it decorates."""
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
    return written(function, lambda each: any(is_kind(each) for is_kind in kinds))


def types_of(function: Function) -> dict[str, Any]:
    """The types of its parameters. Raises whatever its annotations raise, if they are strings."""
    # Without that of what it returns, which may name what is imported for type checkers only.
    parameters = signature_of(function).parameters.items()
    annotations = {name: parameter.annotation for name, parameter in parameters}
    names = getattr(written(function), "__globals__", {})
    return get_type_hints(SimpleNamespace(__annotations__=annotations), names, include_extras=True)


def fields_of(work: str, function: Function) -> dict[str, Any]:
    """A pydantic field for each parameter. Raises `TypeError` for one that can't be checked."""
    try:
        types = types_of(function)
        parts = {name: parts_of(each) for name, each in types.items()}
    except Exception as error:
        raise UnreadableAnnotation(
            f"The work '{work}' has an annotation that can't be read: {error}."
        ) from error
    fields = {}
    for name, parameter in signature_of(function).parameters.items():
        if thing := next(filter(None, map(part_of_request, [*parts[name], parameter.default])), None):
            raise TypeError(
                f"The work '{work}' can't have the parameter '{name}', which is of a request "
                f"({thing}): take it in a route of your own, and start the work with what it says; "
                "copy an uploaded file to disk, and pass its path."
            )
        if any(map(read_once, parts[name])):
            raise TypeError(
                f"The work '{work}' can't have the parameter '{name}', which can be read only once: make "
                "it a list, or a Sequence."
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[PREFIX + name] = types[name], Field(default, alias=name)
    return fields
