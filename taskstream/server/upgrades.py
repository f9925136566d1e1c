"""Requests that ask for another protocol, of which this server speaks none: they are answered as any other.

RFC 9110, section 7.8: a server may ignore `Upgrade`. The parser doesn't know: it takes what follows such a
head for the other protocol, even if it is the body, or the next request.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FRAMING = (b"content-length", b"transfer-encoding")


class UpgradesIgnored(HttpToolsProtocol):
    """uvicorn's, but what follows the head of a request for another protocol is not lost."""

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                data = data[upgrade.args[0] :]
                if framing := self._ignored_framing():
                    self.parser = body_parser(self, framing)
                    self.cycle.keep_alive = False  # that parser can't go on with the next request
            except HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                return

    def on_message_complete(self) -> None:
        """A request ends, unless its body was ignored."""
        if not self._ignored_framing():
            super().on_message_complete()

    def _ignored_framing(self) -> bytes:
        """The headers that tell how long the body is which the parser takes for another protocol."""
        if not self.parser.should_upgrade() or self._should_upgrade():
            return b""
        return b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] in FRAMING)


class BodyReceiver:
    """What the parser of a body reports to."""

    def __init__(self, connection: UpgradesIgnored) -> None:
        self._connection = connection
        self._complete = False

    def on_body(self, body: bytes) -> None:
        """Hand on a part of the body."""
        if not self._complete:
            self._connection.on_body(body)

    def on_message_complete(self) -> None:
        """Hand on the end of the body, and nothing after it."""
        if not self._complete:
            self._complete = True
            self._connection.on_message_complete()


def body_parser(connection: UpgradesIgnored, framing: bytes) -> HttpRequestParser:
    """A parser that has seen the head of a request, and goes on with its body."""
    parser = HttpRequestParser(BodyReceiver(connection))
    parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
    return parser
