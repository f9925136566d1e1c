"""What the environment says of connections: one rule for both clients, which is that of aiohttp.

Proxies (`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`; not `ALL_PROXY`) and `.netrc` count, but not for the
machine itself. Certificate authorities are those of the system, of `SSL_CERT_FILE`, and of
`REQUESTS_CA_BUNDLE`.
"""

import os
import re
import ssl
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


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


def proxies(url: str) -> dict[str, str]:
    """The proxy for this address, by its scheme, if there is one; requests has other rules of its own."""
    parts = urlsplit(url)
    if not proxies_count(url) or proxy_bypass(parts.hostname or ""):
        return {}
    return {scheme: proxy for scheme, proxy in getproxies().items() if scheme == parts.scheme}
