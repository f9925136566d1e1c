"""The works of one application."""

from taskstream.errors import InvalidParameters
from taskstream.signatures import Function, name_of
from taskstream.work import Work


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
        raise TypeError(
            f"'{name_of(function_or_name)}' is no work of this TaskStream: decorate it with `work`."
        )

    def check(self) -> None:
        """Raise `TypeError` if the parameters of a work can't be understood."""
        for work in self._works.values():
            _ = work.parameters
