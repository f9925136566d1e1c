"""Why an EventSource ends for good: another try would not help."""


class EventSourceError(Exception):
    """The server's answer was not an event stream."""

    def __init__(self, message: str, status: int | None = None, body: bytes = b"") -> None:
        """`status` is None if there was no answer to speak of."""
        super().__init__(message)
        self.status = status
        self.body = body


class StatusError(EventSourceError):
    """The status was not 200."""


class NoContent(StatusError):
    """The status was 204: nothing more will come."""


class MimeTypeError(EventSourceError):
    """The status was 200, but the body was something else than an event stream."""


class EventTooLarge(EventSourceError):
    """An event was larger than the limit, or did not end."""


class InvalidAddress(EventSourceError):
    """The address, or the one that a redirect leads to, is invalid."""
