"""Under which names a server answers: a page whose name was made to lead here is none of them."""

import re

import aiohttp
import pytest

from taskstream.server import ServerSettings
from taskstream.server.serve import host_pattern
from tests.server.test_limits import connection
from tests.support.programs import Server

OF_THE_MACHINE = ["localhost", "LOCALHOST:80", "a.localhost:8000", "127.0.0.1", "127.1.2.3:9", "[::1]:8000"]
FOREIGN = ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "::1.a"]
FOREIGN += [
    "",
    "evil.example/localhost",
    "localhost@evil.example",
    "localhost:80:80",
    "192.168.0.1",
    "127.0.0.x",
]


def answered(pattern: re.Pattern[bytes] | None, *hosts: str) -> list[bool]:
    """Whether each of these is answered."""
    return [pattern is None or bool(pattern.fullmatch(host.encode())) for host in hosts]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2", "LocalHost"])
def test_on_loopback(host: str) -> None:
    """Names of the machine itself are answered, and those that are given, dots in them no wildcards."""
    plain, more = host_pattern(host, []), host_pattern(host, ["tasks.example.org", "fe80::1", "[fe80::2]"])
    assert all(answered(plain, *OF_THE_MACHINE))
    assert all(
        answered(
            more,
            *OF_THE_MACHINE,
            "Tasks.example.org:443",
            "tasks.example.org.",
            "[fe80::1]",
            "[fe80::2]:80",
        )
    )
    assert not any(answered(plain, *FOREIGN, "tasks.example.org"))
    assert not any(answered(more, *FOREIGN, "tasksXexample.org", "a.tasks.example.org"))


def test_elsewhere() -> None:
    """On other addresses any name is answered, unless some are given; with *, anywhere."""
    for pattern in (host_pattern("0.0.0.0", []), host_pattern("10.0.0.1", []), host_pattern("::1", ["*"])):
        assert all(answered(pattern, *FOREIGN))
    given = host_pattern("10.0.0.1", ["tasks.example.org"])
    assert all(answered(given, "10.0.0.1:8000", "tasks.example.org", *OF_THE_MACHINE))
    assert not any(answered(given, *FOREIGN))


def test_a_list_by_flag() -> None:
    """Commas separate them, spaces don't matter."""
    assert ServerSettings.load(["--allowed-hosts", "a.example, b.example,"]).hosts == [
        "a.example",
        "b.example",
    ]
    assert ServerSettings.load([]).hosts == []


async def test_a_server(session: aiohttp.ClientSession) -> None:
    """A foreign name gets a 421 in words, whatever it asks for, and starts nothing."""
    with Server("--cors-origins", "https://mine.example", "--allowed-hosts", "mine.example") as server:
        foreign = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"}
        for method, path in (("POST", "/start-task"), ("GET", "/"), ("OPTIONS", "/start-task")):
            async with session.request(method, server.url + path, headers=foreign) as response:
                assert response.status == 421
                assert "--allowed-hosts" in (await response.json())["detail"]
        async with session.get(f"{server.url}/health", headers={"Host": "mine.example"}) as response:
            assert (await response.json())["tasks"] == 0


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [
        (b"1.1", [], 400),
        (b"1.1", [b"localhost", b"localhost"], 400),
        (b"1.1", [b"localhost", b"evil.example"], 400),
        (b"1.1", [b"localhost"], 200),
        (b"1.1", [b"localhost \t"], 200),
        (b"1.0", [], 200),
        (b"1.0", [b"localhost", b"localhost"], 400),
        (b"1.0", [b"evil.example"], 421),
    ],
)
async def test_one_host(server: Server, version: bytes, hosts: list[bytes], status: int) -> None:
    """HTTP/1.1 wants one Host (RFC 9112, section 3.2); nobody may send two."""
    lines = b"".join(b"Host: %b\r\n" % host for host in hosts)
    async with connection(server, b"GET /health HTTP/%b\r\n%b\r\n" % (version, lines)) as reader:
        assert (await reader.readline()).split()[1] == b"%d" % status


async def test_options_of_the_server(server: Server) -> None:
    """`OPTIONS *` is about the server itself, and leaves the connection open; other methods have no `*`."""
    ask = b"%b * HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with connection(server, ask % b"OPTIONS" + ask % b"GET") as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 204 ")
        assert b"\r\nallow: GET, HEAD, POST, OPTIONS\r\n" in head
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
