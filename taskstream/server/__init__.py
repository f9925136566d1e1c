"""How `python app.py` serves: settings, start and stop, limits on connections, the fast path.

`serve` gives the same to an application of one's own.
"""

from taskstream.server.serve import serve
from taskstream.server.settings import ServerSettings

__all__ = ["ServerSettings", "serve"]
