"""What Python knows of a function: its name, how it is run, the types of its parameters."""

import inspect
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, get_type_hints

Function = Callable[..., object]


def name_of(function: Function) -> str:
    """What a function is called; an object that can be called, as its class."""
    return str(getattr(function, "__name__", type(function).__name__))


def written(function: Function) -> Function:
    """The function as it was before it was decorated; of an object that can be called, its method."""
    function = inspect.unwrap(function)
    if isinstance(function, partial):
        return written(function.func)
    return function if inspect.isroutine(function) else type(function).__call__


def types_of(function: Function) -> dict[str, Any]:
    """The types of its parameters. Raises whatever its annotations raise, if they are strings."""
    # Without that of what it returns, which may name what is imported for type checkers only.
    annotations = {
        name: parameter.annotation for name, parameter in inspect.signature(function).parameters.items()
    }
    names = getattr(written(function), "__globals__", {})
    return get_type_hints(SimpleNamespace(__annotations__=annotations), names, include_extras=True)
