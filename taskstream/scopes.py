"""Scopes: whose tasks are, where everybody sees their own."""

from enum import Enum

from taskstream.steps import current_step
from taskstream.updates import type_name


class Everybody(Enum):
    """The type of `EVERYBODY`."""

    EVERYBODY = "everybody"


EVERYBODY = Everybody.EVERYBODY
"""As a `scope`: the tasks of all scopes. What is started with it is in none, so no request sees it."""

Scope = str | Everybody


def scope_of_current() -> str | None:
    """Whose the task is that runs, if one does."""
    step = current_step.get()
    return step.reporter.scope if step else None


def check_scope(scope: object) -> str:
    """The scope, if it can be one. Raises `ValueError`."""
    if isinstance(scope, str) and scope and scope == scope.encode(errors="ignore").decode():
        return scope
    raise ValueError(f"A scope is text, not empty and without lone surrogates, and not {type_name(scope)}.")
