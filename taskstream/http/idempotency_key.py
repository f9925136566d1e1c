"""The header `Idempotency-Key`, by which a request that is sent again starts nothing again."""

import re
from typing import Annotated

from fastapi import Header

from taskstream.errors import IDEMPOTENCY_KEY, InvalidParameters

STRING = r'"(?:[ !#-\[\]-~]|\\["\\]){1,255}"'
"""A string of RFC 8941, section 3.3.3, as the draft of the header has it."""
BARE = r"[!#-~][ -~]{0,254}"
"""The same without quotes, as most clients send it."""
PATTERN = f"^(?:{STRING}|{BARE})$"

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        description="the same key and body start one task, however often they are sent",
        json_schema_extra={"pattern": PATTERN},
    ),
]


def parse_idempotency_key(header: str | None) -> str | None:
    """The key: `"abc"` and `abc` are the same one. Raises `InvalidParameters`."""
    if header is None:
        return None
    if not re.fullmatch(PATTERN, header):
        raise InvalidParameters.of(
            IDEMPOTENCY_KEY, "A key has 1 to 255 printable ASCII characters, in quotes or without", "header"
        )
    return re.sub(r"\\(.)", r"\1", header[1:-1]) if header.startswith('"') else header
