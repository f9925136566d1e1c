"""Work: the functions that tasks run, what they accept, and the table in which an application has them."""

import inspect
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model

from taskstream.errors import InvalidParameters
from taskstream.signatures import Function, name_of, types_of, written
from taskstream.threads import WorkThreads
from taskstream.updates import Result, Updates

RESERVED = frozenset({"work", "name", "idempotency_key", "scope"})
"""What `start` and `POST /start-task` call their own arguments."""


PREFIX = "parameter_"
"""Of the names of fields: a parameter may be called like a method of pydantic's models."""


class Kind(StrEnum):
    """How some work is run: in the event loop, or in a thread."""

    ASYNC = "async"
    BLOCKING = "blocking"


class Parameters(BaseModel):
    """The parameters of one run, checked against the signature of the function."""

    # Strict: no "1" or true for a number. Names of parameters are aliases, so that none is taken.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def values(self) -> dict[str, object]:
        """The keyword arguments of the function."""
        return {name.removeprefix(PREFIX): getattr(self, name) for name in self._names()}

    def json_values(self) -> str:
        """The same as JSON, for a worker on another machine."""
        return self.model_dump_json(include=self._names(), by_alias=True)

    @classmethod
    def _names(cls) -> set[str]:
        return {name for name in cls.model_fields if name.startswith(PREFIX)}


class Work:
    """A function that can be run as a task, under a name."""

    def __init__(self, function: Function, name: str | None = None, *, public: bool = True) -> None:
        """Raise `TypeError` if the function can't be work: a sentence that says why.

        `public` work can be started by requests, other work by the application only.
        """
        self.function = function
        self.name = name or name_of(function)
        self.public = public
        self.description = inspect.getdoc(function) or ""
        if inspect.isclass(function):
            raise TypeError(f"The work '{self.name}' can't be a class: decorate a function.")
        if inspect.isgeneratorfunction(written(function)):
            raise TypeError(
                f"The work '{self.name}' can't be a generator: make it an async one, or call `report` "
                "instead of yielding."
            )
        for parameter in inspect.signature(function).parameters.values():
            self._check(parameter)

    @property
    def kind(self) -> Kind:
        """Whether it runs in the event loop or in a thread."""
        function = written(self.function)
        is_async = inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function)
        return Kind.ASYNC if is_async else Kind.BLOCKING

    @cached_property
    def fields(self) -> dict[str, Any]:
        """A pydantic field for each parameter. Raises `TypeError` if an annotation can't be resolved.

        At first use and not before: annotations may name what the module defines further down.
        """
        try:
            types = types_of(self.function)
        except Exception as error:
            raise TypeError(
                f"The work '{self.name}' has an annotation that can't be read: {error}."
            ) from error
        return {
            PREFIX + name: (
                types[name],
                Field(... if parameter.default is parameter.empty else parameter.default, alias=name),
            )
            for name, parameter in inspect.signature(self.function).parameters.items()
        }

    @cached_property
    def parameters(self) -> type[Parameters]:
        """The model of its parameters. Raises `TypeError` if JSON has nothing for one of them."""
        try:
            model = create_model(f"Run_{self.name}", __base__=Parameters, **self.fields)
            model.model_json_schema()
        except PydanticUserError as error:
            raise TypeError(
                f"The work '{self.name}' has a parameter of a type that JSON has nothing for: "
                f"{error.message.partition('. ')[0]}."
            ) from error
        return model

    def parse(self, values: Mapping[str, object]) -> Parameters:
        """The parameters for a call from Python. Raises `InvalidParameters`."""
        try:
            return self.parameters.model_validate(dict(values))
        except ValidationError as error:
            raise invalid(error) from None

    def describe(self) -> dict[str, object]:
        """What a form for it needs: name, description, kind, and the JSON Schema of its parameters."""
        return {
            "name": self.name,
            "description": self.description,
            "kind": self.kind,
            "parameters": self.parameters.model_json_schema(),
        }

    async def begin(self, parameters: Parameters, threads: WorkThreads) -> Updates:
        """Prepare a run, as soon as there is a place for it; it begins when it is iterated."""
        function, values = self.function, parameters.values()
        if self.kind is Kind.BLOCKING:
            return await threads.run(function, values)
        if inspect.iscoroutinefunction(written(function)):
            return await_result(function, values)
        updates: Updates = function(**values)  # type: ignore[assignment]
        return updates

    def _check(self, parameter: inspect.Parameter) -> None:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise TypeError(
                f"The work '{self.name}' can't have {stars}{parameter.name}: name each parameter."
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(
                f"The work '{self.name}' can't have the positional-only parameter '{parameter.name}': "
                "parameters are passed by name."
            )
        if parameter.name in RESERVED:
            raise TypeError(
                f"The work '{self.name}' can't have a parameter called '{parameter.name}': "
                "starting a task has an argument of that name."
            )
        if parameter.annotation is parameter.empty:
            raise TypeError(
                f"The work '{self.name}' has to say the type of its parameter '{parameter.name}'."
            )


async def await_result(function: Function, values: Mapping[str, object]) -> Updates:  # type: ignore[misc]
    """The run of a coroutine function, which yields nothing but its result."""
    yield Result.of(await function(**values))  # type: ignore[misc]


class Works:
    """The works of one application, by name, in the order in which they were added."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}

    @property
    def public(self) -> list[Work]:
        """Those that requests may start; without a name, they start the first."""
        return [work for work in self._works.values() if work.public]

    def add(self, work: Work) -> None:
        """Add one. Raises `ValueError` if there is one of this name."""
        if work.name in self._works:
            raise ValueError(f"There are two works called '{work.name}': give one of them another name=….")
        self._works[work.name] = work

    def get(self, function_or_name: Function | str) -> Work:
        """The work that this function is, or that has this name.

        Raises `InvalidParameters` for an unknown name, `TypeError` for a function that is no work.
        """
        if isinstance(function_or_name, str):
            if work := self._works.get(function_or_name):
                return work
            only = f", only: {', '.join(self._works)}" if self._works else ": none is registered"
            raise InvalidParameters.of("work", f"There is no work called '{function_or_name}'{only}")
        for work in self._works.values():
            if work.function == function_or_name:  # a bound method is another object each time
                return work
        raise TypeError(
            f"'{name_of(function_or_name)}' is no work of this TaskStream: decorate it with `work`."
        )

    def check(self) -> None:
        """Raise `TypeError` if the parameters of a work can't be understood."""
        for work in self._works.values():
            _ = work.parameters


def invalid(error: ValidationError) -> InvalidParameters:
    """The errors that pydantic found, as those of a request's body."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    return InvalidParameters(errors, "body")
