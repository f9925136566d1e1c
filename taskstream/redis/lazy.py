"""What stands in a module for the Celery application, until Celery asks for it.

So `celery = tasks.celery` costs a server nothing: it imports no Celery, which need not be installed, and
works without a Redis URL.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery


class LazyCelery:
    """A Celery application that is made when one of its attributes is asked for."""

    def __init__(self, make: "Callable[[], Celery]") -> None:
        vars(self)["_make"] = cache(make)

    _make: "Callable[[], Celery]"

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what tools look for in any object must not make it
            raise AttributeError(name)
        return getattr(self._make(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._make(), name, value)
