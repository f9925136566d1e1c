"""The web page: files, and what a browser may do with them."""

from pathlib import Path

from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse, Response
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # ask each time: an old script must not meet a new page
    "Referrer-Policy": "no-referrer",  # the address may name a task, which is a secret
    "X-Content-Type-Options": "nosniff",
}


class PageFiles(StaticFiles):
    """The files that the page is made of."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or what there is to say instead."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def index() -> FileResponse:
    """The page itself."""
    return FileResponse(STATIC / "index.html", headers=HEADERS)
