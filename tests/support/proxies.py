"""A TCP proxy that does to connections what networks do."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from threading import Thread
from typing import Self


class Cut:
    """Cut the connection a few bytes after these bytes have passed."""

    def __init__(self, after: bytes) -> None:
        self.after = after


class Proxy:
    """What happens to each connection in turn: an answer of its own, a `Cut`, or nothing (None).

    The last one goes for all that follow.
    """

    def __init__(self, target_port: int, fates: Iterable[bytes | Cut | None]) -> None:
        self.requests: list[bytes] = []
        self._target_port = target_port
        self._fates = list(fates)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept() keeps the socket open: it has to be woken up.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                fate = self._fates.pop(0) if len(self._fates) > 1 else self._fates[0]
                Thread(target=self._serve, args=(client, fate), daemon=True).start()

    def _serve(self, client: socket.socket, fate: bytes | Cut | None) -> None:
        with client, suppress(OSError):
            request = client.recv(65536)
            self.requests.append(request)
            if isinstance(fate, bytes):
                client.sendall(fate)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):  # or what is left unread would turn the end into a reset
                    pass
                return
            with socket.create_connection(("127.0.0.1", self._target_port)) as server:
                server.sendall(request)
                self._pass(server, client, fate)

    def _pass(self, server: socket.socket, client: socket.socket, fate: Cut | None) -> None:
        passed = b""
        while piece := server.recv(65536):
            if fate and (end := (passed + piece).find(fate.after)) >= 0:
                client.sendall(piece[: max(0, end + len(fate.after) + 20 - len(passed))])
                return
            client.sendall(piece)
            passed += piece
