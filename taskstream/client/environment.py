"""What the environment says of connections: one rule for both clients.

Proxies (`HTTPS_PROXY`, `NO_PROXY` and so on, and `.netrc`) count, but not for the machine itself.
Certificate authorities are those of the system, of `SSL_CERT_FILE`, and of `REQUESTS_CA_BUNDLE`.
"""

import os
import re
import ssl
from contextlib import suppress
from urllib.parse import urlsplit


def tls() -> ssl.SSLContext:
    """What certificates are checked by; `SSL_CERT_FILE` is OpenSSL's own."""
    context = ssl.create_default_context()
    with suppress(OSError):  # a file that isn't there vouches for nobody, which the server's refusal shows
        if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
            context.load_verify_locations(bundle)
    return context


def proxies_count(url: str) -> bool:
    """Whether a proxy may be asked for this address: it would not find what only this machine has."""
    return not re.fullmatch(r"(.+\.)?localhost|127(\.\d+){3}|::1", urlsplit(url).hostname or "")
