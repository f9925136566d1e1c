"""The web page and its files, and what a browser may do with them."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import FileResponse, Response

STATIC = Path(__file__).parent.parent / "browser"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # ask each time: an old script must not meet a new page
    "Referrer-Policy": "no-referrer",  # the address may name a task, which is a secret
    "X-Content-Type-Options": "nosniff",
}

TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
"""Not by `mimetypes`, which asks the system: Windows often has `text/plain` for scripts."""

files = StaticFiles(directory=STATIC)


async def static(request: Request) -> Response:
    """One of the files that the page is made of, or the element, or the hook."""
    response = await files.get_response(request.path_params["path"], request.scope)
    response.headers.update(HEADERS)
    if "Content-Type" in response.headers and (kind := TYPES.get(Path(request.path_params["path"]).suffix)):
        response.headers["Content-Type"] = kind
    return response


def add_page(router: APIRouter, *, lists_tasks: bool) -> None:
    """The route of the page."""

    @router.api_route("/", methods=["GET", "HEAD"], response_class=Response, include_in_schema=False)
    async def show_page(request: Request) -> Response:
        """The page; `Link` says where the documentation is, and the list of tasks, if they are."""
        docs = getattr(request.app, "docs_url", None)
        links = [f'<{from_root(request)}{docs.lstrip("/")}>; rel="service-doc"'] if docs else []
        links += ['<tasks>; rel="collection"'] if lists_tasks else []
        headers = HEADERS | ({"Link": ", ".join(links)} if links else {})
        return FileResponse(STATIC / "index.html", media_type="text/html", headers=headers)


def add_files(router: APIRouter) -> None:
    """The route of the files, which no dependencies guard: a script tag sends no header."""
    router.add_route("/static/{path:path}", static, methods=["GET", "HEAD"], include_in_schema=False)


def from_root(request: Request) -> str:
    """The way from the page to the root of its application: relative, as a proxy may add to the path."""
    path = str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))
    return "../" * (path.count("/") - 1)
