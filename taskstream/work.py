"""Work: the functions that tasks run, what they accept, and the table of those of one application."""

import inspect
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PydanticUserError, ValidationError, create_model
from pydantic_core import PydanticSerializationError

from taskstream.errors import InvalidParameters
from taskstream.idempotency import alike, canonical, is_needless, json_of
from taskstream.signatures import (
    PREFIX,
    Function,
    UnreadableAnnotation,
    called,
    fields_of,
    name_of,
    problem_of,
)
from taskstream.threads import WorkThreads
from taskstream.updates import Result, Updates

OWN = " "
"""Before JSON in which each type has its own form, as bytes that are not base64."""


class Parameters(BaseModel):
    """The parameters of one run, checked against the signature of the function."""

    # Strict: no "1" or true for a number. Names of parameters are aliases, so that any name is possible.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    def values(self) -> dict[str, object]:
        """The keyword arguments of the function."""
        values = {}
        for name, value in self:
            if name.startswith(PREFIX):
                values[name.removeprefix(PREFIX)] = value
        return values

    def json_values(self, fields: Collection[str] | None = None, full: bool = True) -> str:
        """The same as canonical JSON, or some of them. Raises `InvalidParameters` for what has none.

        Unless it is to be `full`, it is equal for starts that are the same: needless fields are left out.
        """
        values = {}
        for name, value in sorted(self.values().items()):
            field = PREFIX + name
            if (fields is not None and field not in fields) or (not full and is_needless(self, field)):
                continue
            try:
                values[name] = canonical(value, full=full)
            except ValueError:
                try:
                    values |= self.model_dump(mode="json", include={field}, by_alias=True, round_trip=True)
                except ValueError:
                    raise InvalidParameters.of(name, "There is no JSON for this value") from None
        return json_of(values)


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
        if problem := problem_of(function):
            raise TypeError(f"The work '{self.name}' {problem}.")
        with suppress(UnreadableAnnotation):  # it may name what is defined further down
            _ = self.fields
        self._is_coroutine_function = inspect.iscoroutinefunction(called(function))
        is_async = self._is_coroutine_function or inspect.isasyncgenfunction(called(function))
        self.kind: Literal["async", "blocking"] = "async" if is_async else "blocking"
        """Whether it runs in the event loop, or in a thread."""

    @cached_property
    def fields(self) -> dict[str, Any]:
        """A pydantic field for each parameter. Raises `TypeError` for one that can't be checked."""
        return fields_of(self.name, self.function)

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
            raise InvalidParameters(error.errors(), "body") from None

    @cached_property
    def _carried(self) -> type[Parameters]:
        """The model that reads `Parameters.json_values`, where bytes are base64."""
        config = ConfigDict(val_json_bytes="base64")
        members = {"model_config": config, "__module__": __name__}
        return type(self.parameters.__name__, (self.parameters,), members)

    def to_json(self, parameters: Parameters) -> str:
        """JSON that `from_json` reads back. Raises `InvalidParameters` if it would read others.

        Without those that nobody gave, but for defaults that are made anew each time: a worker of the
        version before doesn't know a new one's default.
        """
        set_fields, fields = parameters.model_fields_set, self.parameters.model_fields
        given = {name for name in fields if name in set_fields or fields[name].default_factory}
        own = partial(parameters.model_dump_json, include=given, by_alias=True, round_trip=True)
        canonical_json = partial(parameters.json_values, given)
        changed = "parameters"
        for mark, dump in (("", canonical_json), (OWN, own)):  # right for types that are base64, or JSON
            with suppress(ValidationError, PydanticSerializationError):
                text = mark + dump()
                read = self.from_json(text)
                if all(alike(getattr(read, changed := name), getattr(parameters, name)) for name in given):
                    return text
        raise InvalidParameters.of(changed.removeprefix(PREFIX), "It would lose something by becoming JSON")

    def from_json(self, text: str) -> Parameters:
        """The parameters that `to_json` has made JSON of. Raises `ValidationError`."""
        with suppress(ValidationError):
            if not text.startswith(OWN):
                return self._carried.model_validate_json(text, by_alias=True, by_name=True)
        return self.parameters.model_validate_json(text)

    def describe(self) -> dict[str, object]:
        """What a form for it needs: name, description, kind, and the JSON Schema of its parameters."""
        return {
            "name": self.name,
            "description": self.description,
            "kind": self.kind,
            "parameters": self.parameters.model_json_schema(),
        }

    async def begin(self, parameters: Parameters, threads: WorkThreads) -> Updates:
        """The updates of a run, as soon as there is a place for it; it begins when they are iterated."""
        call: Callable[[], Any] = partial(self.function, **parameters.values())
        if self.kind == "blocking":
            return await threads.call(call, f"work {name_of(self.function)}")
        return result_of(call) if self._is_coroutine_function else call()


async def result_of(call: Callable[[], Any]) -> Updates:
    """The updates of a coroutine function: nothing but its result."""
    yield Result.of(await call())


class WorkTable:
    """Works by name, in the order in which they were added."""

    def __init__(self) -> None:
        self.public: dict[str, Work] = {}
        """Those that requests may start; without a name, they start the first."""
        self._works: dict[str, Work] = {}

    def add(self, work: Work) -> None:
        """Add one. Raises `ValueError` if there is one of this name."""
        if work.name in self._works:
            raise ValueError(f"There are two works called '{work.name}': give one of them another name=….")
        self._works[work.name] = work
        if work.public:
            self.public[work.name] = work

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
        name = name_of(function_or_name)
        raise TypeError(f"'{name}' is no work of this TaskStream: decorate it with `work`.")

    def check(self) -> None:
        """Raise `TypeError` if the parameters of a work can't be understood."""
        for work in self._works.values():
            _ = work.parameters
