"""Whose a request is: the dependency that is the `scope` of a `TaskStream`."""

import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.dependencies.utils import get_dependant
from fastapi.params import Depends as Dependency

from taskstream.errors import NO_STORE
from taskstream.running import check_scope

SCOPE = "taskstream.scope"
"""Where in the ASGI scope of a request it stands whose that is."""

logger = logging.getLogger(__name__)


def dependency_of(scope: Callable[..., Any]) -> Dependency:
    """What the routes depend on that start and find tasks. Raises `TypeError` for what can't be a scope.

    It is asked by `function`, so that nothing that it holds stays open as long as a stream.
    """
    refuse_unfit(scope)

    async def ask(request: Request, answer: Annotated[object, Depends(scope, scope="function")]) -> None:
        try:
            request.scope[SCOPE] = check_scope(answer)  # FastAPI holds nothing to its annotation
        except ValueError as error:
            logger.error("A request was refused, because of what the scope of a TaskStream said: %s", error)  # noqa: TRY400 - a sentence
            raise HTTPException(403, "It isn't known whose request this is.", NO_STORE) from None

    return Dependency(ask, scope="function")


def refuse_unfit(dependency: Callable[..., Any]) -> None:
    """Raise `TypeError` for one that takes the body, an id of a task, which is ours, or the response."""
    dependants = [get_dependant(path="/", call=dependency)]
    for each in dependants:  # which grows by what each depends on
        dependants += each.dependencies
        reasons = {field.name: "it is of the body. Take a header or a cookie" for field in each.body_params}
        if any("task_id" in (field.name, field.alias) for field in each.query_params):
            reasons["task_id"] = "it says whose a request is, not whose a task is"
        if each.response_param_name:
            reasons[each.response_param_name] = (
                "no route sends what is set on it. Set a cookie in one of yours"
            )
        for name, reason in reasons.items():
            raise TypeError(f"The scope of a TaskStream can't have the parameter '{name}': {reason}.")
