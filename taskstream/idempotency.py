"""Keys by which a start that is sent again starts nothing again."""

import hashlib
import re
from dataclasses import dataclass

from taskstream.encoding import to_json
from taskstream.errors import IDEMPOTENCY_KEY, InvalidParameters

QUOTED = r'"(?:[ !#-\[\]-~]|\\["\\]){1,255}"'
"""A string of RFC 8941, section 3.3.3, as the draft of the header has it."""
BARE = r"[!#-~][ -~]{0,254}"
"""The same without quotes, as most clients send it."""
PATTERN = f"^(?:{QUOTED}|{BARE})$"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes a start that is sent again the same start."""

    key: str
    """Unique for each intended task, within the application."""
    fingerprint: str
    """Equal for equal work, parameters and name."""

    @classmethod
    def of(cls, text: str, scope: str | None, start: list[str]) -> "IdempotencyKey":
        """The key that a client has sent, in or without quotes, for what it starts.

        Raises `InvalidParameters`.
        """
        if not re.fullmatch(PATTERN, text):
            message = "A key has 1 to 255 printable ASCII characters, in quotes or without"
            raise InvalidParameters.of(IDEMPOTENCY_KEY, message, "header")
        key = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
        fingerprint = hashlib.sha256(to_json(start)).hexdigest()
        return cls(to_json([scope, key]).decode(), fingerprint)
