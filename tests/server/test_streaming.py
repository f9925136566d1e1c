"""Streams that are attached to their connections: on real sockets, with and without uvloop."""

import asyncio
import functools
import gc
import logging
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
import sse_starlette
import uvloop
from fastapi import FastAPI, Request, Response
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

import taskstream.http.response
from taskstream.events import Kind
from taskstream.http.response import LAYERS, StreamResponse, unwrapped
from taskstream.http.stream import CONNECTION, Stream
from taskstream.http.streams import Broadcast
from taskstream.server.connection import PIPELINED_REQUESTS, Connection
from taskstream.viewers import Follower
from tests.support.serving import END, EVENT, Serving

# A hook for event loops would be asked for those of all tests.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")

HELLO = b'"hello"'


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Every test on both event loops."""
    uvloop_policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
    return uvloop_policy if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test leaves a warning in the log, unless it takes it from there."""
    yield
    records = caplog.get_records("call")  # in here, `caplog.records` are those of the end
    assert [record.getMessage() for record in records if record.levelno >= logging.WARNING] == []


async def test_no_task_for_each_stream() -> None:
    """An open stream is attached, and goes on without an asyncio task."""
    async with Serving().serve() as serving:
        before = len(asyncio.all_tasks())
        clients = [await serving.watch() for _ in range(20)]
        assert len(asyncio.all_tasks()) == before
        for each in clients:
            each.leave()
        await serving.until_open(0)
        assert serving.streams.outcomes == {"left": 20}


async def test_pipelined_behind_a_stream() -> None:
    """The request behind a stream is answered when that has ended, on the same connection, and so on.

    When the task has said its last, but not in the context of that.
    """
    task = ContextVar("task", default="none")
    async with Serving().serve() as serving:

        @serving.app.get("/task")
        async def name_task() -> str:
            return f"in {task.get()}"

        client = await serving.watch("/task")
        client.send("/stream?after=1", "/task")
        context = copy_context()
        context.run(task.set, "that of the stream")
        context.run(serving.append, 1, last=True)
        answer = await client.until_count(b'"in none"', 2)
        assert client.ids == [1, 2, 2]
        assert answer.count(b"HTTP/1.1 200 OK") == 4
        assert serving.streams.outcomes == {"ended": 2}


@pytest.mark.parametrize("leave", ["abort", "close", "half-close"])
async def test_leaving_with_a_request_behind_the_stream(leave: str) -> None:
    """Its viewer's leaving is noticed, whatever waits behind it, and nothing is written to it any more."""
    async with Serving().serve() as serving:
        client = await serving.watch("/hello")
        client.send("/hello")
        await asyncio.sleep(0.01)
        if leave == "abort":
            client.leave()
        elif leave == "close":
            client.writer.close()
        else:
            client.writer.write_eof()
        await serving.until_open(0)
        for _ in range(20):
            serving.append(1)
            await asyncio.sleep(0)
        assert serving.streams.events == 1


async def test_leaving_before_the_stream() -> None:
    """A viewer that leaves while a route still waits is nothing to log, and keeps no place."""
    serving, asked, left = Serving(), asyncio.Event(), asyncio.Event()

    @serving.app.get("/late")
    async def late() -> Response:
        asked.set()
        await left.wait()
        return StreamResponse(Follower(serving.log, 0), serving.streams, 0)

    async with serving.serve():
        client = await serving.open("/late")
        await asked.wait()
        client.leave()
        await serving.until(lambda: not serving.server.server_state.connections)
        left.set()
        await serving.until(lambda: serving.streams.outcomes == {"left": 1})


async def test_too_many_requests_behind_a_stream(caplog: pytest.LogCaptureFixture) -> None:
    """A connection with too many of them is cut."""
    async with Serving().serve() as serving:
        client = await serving.watch()
        client.send(*["/hello"] * PIPELINED_REQUESTS)
        await asyncio.sleep(0.1)
        assert serving.streams.open == 1
        client.send(*["/hello"] * 5000)
        await serving.until_open(0)
    assert caplog.text.count("Invalid HTTP request") == 1
    caplog.clear()


async def test_a_large_body_behind_a_stream() -> None:
    """Only so much of it is read: the rest stays with the client, and the stream goes on."""
    async with Serving().serve() as serving:
        client = await serving.watch()
        size = 32 * 1024 * 1024
        client.writer.write(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        client.writer.write(b"x" * size)
        await asyncio.sleep(0.3)
        assert client.writer.transport.get_write_buffer_size() > size // 2
        serving.append(1, last=True)
        assert b"HTTP/1.1 405" in await client.until(b"}")
        assert client.ids == [1, 2]


async def test_a_burst_larger_than_the_socket() -> None:
    """All of it arrives, once and in order, however slowly it is read; so do those that follow."""
    async with Serving().serve() as serving:
        clients = [await serving.watch() for _ in range(3)]
        for each in clients:
            each.stop_reading()
        for _ in range(3):
            serving.append(100, size=50_000)
            await serving.until_behind(3)
            transports = [stream.connection.transport for stream in serving.streams._attached]
            assert max(each.get_write_buffer_size() for each in transports) < 512 * 1024
            for each in clients:
                each.read_on()
                await each.reader.readexactly(3_000_000)
                each.stop_reading()
        assert serving.streams.open == 3
        serving.append(1, last=True)
        for each in clients:
            each.read_on()
            await each.until(END)
            assert each.ids[-1] == 302
        await serving.until_open(0)
        assert serving.streams.outcomes == {"ended": 3}


async def test_a_head_that_fills_the_buffer() -> None:
    """A stream that begins where the connection has almost enough to send waits with its first event."""
    serving = Serving()

    @serving.app.get("/large")
    async def large(request: Request) -> str:
        request.scope[CONNECTION].transport.set_write_buffer_limits(8_000_000)
        return "x" * 4_000_000

    @serving.app.get("/behind")
    async def behind(request: Request) -> Response:
        transport = request.scope[CONNECTION].transport
        transport.set_write_buffer_limits(transport.get_write_buffer_size())
        return StreamResponse(Follower(serving.log, 0), serving.streams, 0)

    async with serving.serve():
        client = await serving.open()
        client.stop_reading()
        client.send("/large", "/behind")
        await serving.until_behind(1)
        client.read_on()
        await client.until_count(b"id: 1\n", 1)


async def test_a_slow_reader_is_not_dropped() -> None:
    """A viewer that takes a little every now and then has not stopped reading."""
    async with Serving(stall_seconds=0.4).serve() as serving:
        client = await serving.watch()
        client.stop_reading()
        serving.append(400, size=50_000)
        for _ in range(15):
            await asyncio.sleep(0.1)
            client.read_on()
            await client.reader.readexactly(1_000_000)
            client.stop_reading()
        assert serving.streams.outcomes == {}
        client.leave()
        await serving.until_open(0)


async def test_head() -> None:
    """There is no body, whatever a layer has made of the method."""
    serving = Serving()

    def as_get(app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "method": "GET"}, receive, send)

        return call

    serving.app.add_middleware(as_get)
    serving.append(1, last=True)
    async with serving.serve():
        client = await serving.open()
        client.writer.write(b"HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        client.send("/hello")
        assert b"id: " not in await client.until(HELLO)
        await serving.until(lambda: serving.streams.outcomes == {"ended": 1})


async def test_http_1_0() -> None:
    """A client that doesn't know chunks gets none, at the beginning, from a pass, or behind."""
    async with Serving(ping_seconds=0.05).serve() as serving:
        client = await serving.open()
        client.writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        await client.until(b": ping\n\n")
        for _ in range(2):
            serving.append(1)
            await client.until(b"data: x\n\n")
        client.stop_reading()
        serving.append(200, size=50_000, last=True)
        client.read_on()
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert b"\r" not in body
        assert client.ids == list(range(1, 204))


async def test_keep_alive_after_the_end() -> None:
    """A connection whose stream has ended serves other requests; one that is to be closed is."""
    async with Serving().serve() as serving:
        serving.append(1, last=True)
        client = await serving.open("/stream")
        for _ in range(3):
            await client.until(END)
            client.send("/hello")
            await client.until(HELLO)
            client.send("/stream")
        client.writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await client.rest()).count(b"id: 1\n") == 5
        assert serving.server.server_state.total_requests == 8


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A key and a certificate for localhost."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


@pytest.mark.parametrize("tls", [False, True])
async def test_a_viewer_that_never_reads(request: pytest.FixtureRequest, tls: bool) -> None:
    """It is dropped when it has taken nothing for so long, with all that waited for it; others are not.

    Streams are attached over TLS as well: a live event, a burst, an end.
    """
    options: dict[str, Any] = {}
    trusting: dict[str, Any] = {}
    if tls:
        key, chain = request.getfixturevalue("certificate")
        options = {"ssl_keyfile": key, "ssl_certfile": chain}
        trusting = {"ssl": ssl.create_default_context(cafile=chain), "server_hostname": "localhost"}
    async with Serving(stall_seconds=1).serve(**options) as serving:
        client, deaf = await serving.watch(**trusting), await serving.watch(**trusting)
        assert len(serving.streams._attached) == 2
        deaf.stop_reading()
        serving.append(400, size=50_000)
        reading = asyncio.create_task(client.until(END))
        await serving.until_open(1)
        assert serving.streams.outcomes == {"stalled": 1}
        serving.append(1, last=True)
        await reading
        assert client.ids == list(range(1, 403))


Handle = Callable[[Message, Send], Awaitable[None]]


def layer(handle: Handle) -> Callable[[Any], Any]:
    """A layer that hands each message of a response to a function; it claims to be what it wraps."""

    def wrap(app: Any) -> Any:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            @functools.wraps(send)
            async def changed(message: Message) -> None:
                await handle(message, send)

            await app(scope, receive, changed if scope["type"] == "http" else send)

        return call

    return wrap


async def pass_on(message: Message, send: Send) -> None:
    """Change nothing, though it could."""
    await send(message)


async def encode(message: Message, send: Send) -> None:
    """Say in the head that the body will be encoded."""
    if message["type"] == "http.response.start":
        message = {**message, "headers": [*message["headers"], (b"Content-Encoding", b"x")]}
    await send(message)


def delay() -> Handle:
    """Hold the head back until the body comes."""
    held: list[Message] = []

    async def handle(message: Message, send: Send) -> None:
        if message["type"] == "http.response.start":
            held.append(message)
        else:
            await send(held.pop()) if held else None
            await send(message)

    return handle


async def call_next(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """As BaseHTTPMiddleware does, which reads the response in another task."""
    response = await call_next(request)
    response.headers["X-Middleware"] = "yes"
    return response


def wrap_application(app: FastAPI) -> None:
    """Around the whole application, which `user_middleware` doesn't show."""
    app.middleware_stack = layer(pass_on)(app.build_middleware_stack())


def mount_application(app: FastAPI) -> None:
    """Around a part of the application, which is mounted."""
    inner, app.router.routes = app.router.routes, []
    app.mount("/", layer(pass_on)(Starlette(routes=inner)))


class MoreCORS(CORSMiddleware):
    """A class of CORS that does more."""

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Do no more, though it could."""
        await super().send(message, send, request_headers)


Prepare = Callable[[FastAPI], object]
PATHS: dict[str, tuple[Prepare, Any]] = {
    "BaseHTTPMiddleware": (lambda app: app.middleware("http")(call_next), Connection),
    "a head that comes late": (lambda app: app.add_middleware(layer(delay())), Connection),
    "an encoding": (lambda app: app.add_middleware(layer(encode)), Connection),
    "functools.wraps": (lambda app: app.add_middleware(layer(pass_on)), Connection),
    "a wrapped application": (wrap_application, Connection),
    "a mounted application": (mount_application, Connection),
    "a subclass of CORS": (lambda app: app.add_middleware(MoreCORS), Connection),
    "h11": (lambda _: None, "h11"),
    "httptools": (lambda _: None, "httptools"),
}


@pytest.mark.parametrize(("prepare", "http"), PATHS.values(), ids=PATHS.keys())
async def test_streams_that_cannot_be_attached(
    prepare: Prepare, http: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """They are streamed otherwise, event by event: the same bytes, limits, heartbeats, counts and ends.

    Where the server could have attached them, the log says so once.
    """
    serving = Serving(limit=2, ping_seconds=0.1)
    prepare(serving.app)

    @serving.app.exception_handler(RuntimeError)
    async def try_later(*_: object) -> Response:
        return Response(status_code=503)

    async with serving.serve(http):
        serving.append(1)
        client, other = await serving.open("/stream"), await serving.open("/overview")
        for each in (client, other):
            await each.until(b": ping\n\n\r\n")
        assert serving.streams._attached == set()
        third = await serving.open("/stream")
        assert b" 503 " in await third.reader.readline()
        other.leave()
        await serving.until_open(1)
        serving.append(1)
        await client.until(EVENT)
        serving.append(1, last=True)
        await client.until(END)
        assert client.ids == [1, 2, 3, 4]
        assert client.received.count(b"retry: 0\n") == 1
        await serving.until_open(0)
        assert serving.streams.outcomes == {"left": 1, "ended": 1}
        assert serving.streams.events == 5
    assert caplog.text.count("Streams are slower: ") == (http is Connection)
    caplog.clear()


async def test_a_layer_that_changes_bodies(caplog: pytest.LogCaptureFixture) -> None:
    """What middleware makes of a body reaches the viewer, and what it counts is all of it."""
    serving, seen = Serving(), bytearray()

    async def redact(message: Message, send: Send) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"").replace(b"secret", b"******")
            seen.extend(body)
            message = {**message, "body": body}
        await send(message)

    serving.app.add_middleware(layer(redact))
    async with serving.serve():
        serving.log.append(b"a secret")
        client = await serving.watch()
        serving.log.append(b"another secret", Kind.LAST)
        await client.until(END)
        assert b"secret" not in client.received
        assert client.received.count(b"******") == seen.count(b"******") == 2
    assert caplog.text.count("Streams are slower: ") == 1
    caplog.clear()


async def test_a_body_that_was_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """A route that gives its response another body has that one sent, and an encoding stays one."""
    serving = Serving()

    @serving.app.get("/upper")
    async def upper() -> Response:
        response = StreamResponse(Follower(serving.log, 0), serving.streams, 0)
        events = response.body_iterator
        response.body_iterator = (each.upper() async for each in events)  # type: ignore[union-attr]
        return response

    @serving.app.get("/encoded")
    async def encoded() -> Response:
        response = StreamResponse(Follower(serving.log, 0), serving.streams, 0)
        response.headers["Content-Encoding"] = "identity"
        return response

    async with serving.serve():
        serving.append(1, last=True)
        client = await serving.open("/upper")
        assert b"DATA: X\n" in await client.until(END)
        client = await serving.open("/encoded")
        assert (await client.until(END)).count(b"HTTP/1.1 200") == 1
        assert client.ids == [1, 2]
    assert caplog.text.count("body_iterator") == 1
    caplog.clear()


async def test_a_background_task_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It ends the connection, as uvicorn has it; the place of the stream is free once."""
    serving = Serving()

    def fail() -> None:
        raise OSError

    @serving.app.get("/background")
    async def background() -> Response:
        response = StreamResponse(Follower(serving.log, 0), serving.streams, 0)
        response.background = BackgroundTask(fail)
        return response

    async with serving.serve():
        client = await serving.open("/background")
        await client.rest()
        assert client.ids == [1]
        await serving.until(lambda: serving.streams.outcomes.total() > 0)
        assert (serving.streams.open, serving.streams.outcomes) == (0, {"left": 1})
    assert "Exception in ASGI application" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("missing", [None, *sorted(LAYERS)])
async def test_the_layers_of_starlette(
    missing: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Streams of an application with all layers of the list are carried, and without one of it they aren't.

    So Starlette has no others, and still has these there, under these names.
    """
    serving = Serving()
    inner, serving.app.router.routes = serving.app.router.routes, []
    serving.app.mount("/", FastAPI(routes=inner))
    serving.app.add_middleware(CORSMiddleware, allow_origins=["https://example.org"])
    monkeypatch.setattr(
        taskstream.http.response, "LAYERS", {name: LAYERS[name] for name in LAYERS if name != missing}
    )
    async with serving.serve():
        await serving.watch()
        assert len(serving.streams._attached) == (missing is None)
    assert (missing or "Streams are slower") in caplog.text or missing is None
    caplog.clear()


async def test_layers_hand_on_bodies_as_they_are() -> None:
    """Whatever an application sends as a body passes the layers of the list unchanged: the same object."""
    sent: list[Message] = []
    bodies: list[Message] = [{"type": "http.response.body", "body": each} for each in (b"a", b"secret")]

    class Probe(Response):
        async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
            assert unwrapped(send) is outermost
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for each in bodies:
                await send(each)

    async def outermost(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://example.org"])

    @app.get("/")
    async def probe() -> Response:
        return Probe()

    headers = [(b"origin", b"https://example.org")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    await app(scope, receive, outermost)
    assert all(one is other for one, other in zip(sent[1:], bodies, strict=True))


@pytest.mark.parametrize("http", [Connection, "httptools"])
async def test_the_server_stops(http: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream ends cleanly when its server stops, not because another one of the process ever did."""
    monkeypatch.setattr(sse_starlette.sse.AppStatus, "should_exit", True)
    async with Serving(ping_seconds=0.3).serve(http) as serving:
        clients = [await serving.open("/stream") for _ in range(5)]
        for each in clients:
            await each.until(b": ping\n\n\r\n")
        assert serving.streams.open == 5
        serving.server.should_exit = True
        for each in clients:
            assert (await each.rest()).endswith(END)
    assert serving.streams.outcomes == {"stopped": 5}


async def test_the_server_stops_before_the_application_knows() -> None:
    """The connection ends its stream by itself, even if nothing has been closed."""
    async with Serving(sees_stop=False).serve() as serving:
        client = await serving.watch()
        serving.server.should_exit = True
        assert (await client.rest()).endswith(END)
        assert serving.streams.outcomes == {"stopped": 1}


@pytest.mark.parametrize("cut", [True, False])
async def test_a_closed_stream_leaves_no_garbage(cut: bool) -> None:
    """Reference counts free all that there was of a connection: the garbage collector finds nothing."""
    ours = (Connection, RequestResponseCycle, Stream, Follower, StreamResponse, Request, Broadcast)
    async with Serving().serve() as serving:
        gc.collect()
        gc.disable()
        try:
            for number in range(6):
                client = await serving.open("/hello", *["/stream", "/hello"] * (number % 3))
                client.writer.write(b"GET /stream HTTP/1.%d\r\nHost: x\r\n\r\n" % (number % 2))
                await client.until_count(b"id: 1\n", 1)
                serving.append(1)
                await client.until_count(b"id: %d\n" % serving.log.last_id, 1)
                without_stream = await serving.open("/hello")
                await without_stream.until(HELLO)
                for each in (client, without_stream):
                    if cut:
                        each.leave()
                    else:
                        each.writer.close()
                        await each.writer.wait_closed()
            await serving.until(lambda: not serving.server.server_state.connections)
            await asyncio.sleep(0.05)
            left = [type(each).__name__ for each in gc.get_objects() if type(each) in ours]
        finally:
            gc.enable()
        assert left == []
