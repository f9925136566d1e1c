"""The `Authorization` header that EventSource can't send.

    python examples/traps/authorization_header.py

Question: Why is the stream refused, although the user is logged in?
Symptom:  all requests of the page work, only the stream is answered by 401, and EventSource gives up for
          good.
Cause:    `new EventSource(url)` takes no headers. The token that fetch sends in `Authorization` is
          missing. (A token in the address instead would end in the logs of every proxy, and in the
          history.)
Cure:     a cookie, which the browser sends by itself: HttpOnly and SameSite, set where the user logs in.
          Or read the stream by fetch, which can send headers, instead of EventSource.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Response
from sse_starlette import EventSourceResponse

TOKEN = "secret"

app = FastAPI()
sessions: set[str] = set()


async def check_header(authorization: Annotated[str, Header()] = "") -> None:
    """Raise 401 unless the request has the token."""
    if authorization != f"Bearer {TOKEN}":
        raise HTTPException(401, "Send the token in the header Authorization.")


@app.post("/login", dependencies=[Depends(check_header)])
async def log_in(response: Response) -> None:
    """Make a session for a request with the token."""
    session = secrets.token_urlsafe()
    sessions.add(session)
    response.set_cookie("session", session, httponly=True, samesite="lax")


async def check_cookie(session: Annotated[str, Cookie()] = "") -> None:
    """Raise 401 unless the request has the cookie of a session."""
    if session not in sessions:
        raise HTTPException(401, "Log in first.")


async def events() -> AsyncIterator[str]:
    """Three events for users that are logged in."""
    for number in range(1, 4):
        yield f"event {number}"
        await asyncio.sleep(0.2)


@app.get("/broken", dependencies=[Depends(check_header)])
async def broken() -> EventSourceResponse:
    """For clients that can send headers."""
    return EventSourceResponse(events())


@app.get("/fixed", dependencies=[Depends(check_cookie)])
async def fixed() -> EventSourceResponse:
    """For EventSource as well."""
    return EventSourceResponse(events())


SCENARIO = {"log_in": "/login"}

if __name__ == "__main__":
    from show import show

    show(__file__)
