"""`python app.py`, which at its end prints all of the project's functions that were called, in order.

    python -m tests.support.profiled [--wrapped] [flags of app.py]

`--wrapped` puts a middleware around it that keeps streams from being attached to their connections.
"""

import sys
from types import FrameType

from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from tests.support.programs import ROOT

OURS = (str(ROOT / "app.py"), str(ROOT / "taskstream"))

calls: list[str] = []


def profile(frame: FrameType, event: str, _: object) -> None:
    """Note a call of one of our functions, or that a generator or coroutine goes on."""
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(OURS):
        calls.append(f"{code.co_filename.removeprefix(f'{ROOT}/')} {code.co_qualname}")


async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Answer what the application answers."""
    return await call_next(request)


def main() -> None:
    """Serve the demo with the flags of the command line."""
    import app

    if "--wrapped" in sys.argv:
        sys.argv.remove("--wrapped")
        app.app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    sys.setprofile(profile)
    app.main()
    sys.setprofile(None)
    for call in calls:
        print("called", call)


if __name__ == "__main__":
    main()
