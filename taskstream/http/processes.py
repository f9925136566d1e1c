"""Several processes of one application, where they show: each would have tasks of its own."""

import logging
import os
import re
import sys

logger = logging.getLogger(__name__)

SERVERS = re.compile("uvicorn|gunicorn|hypercorn|granian|fastapi")


def warn_of_many() -> None:
    """Log that there are several processes, if the command line or the environment of a server says so."""
    program, *arguments = sys.argv or [""]
    if not SERVERS.search(program):
        return
    words = " ".join([*arguments, os.environ.get("GUNICORN_CMD_ARGS", "")])
    counts = re.findall(r"(?:^|\s)(?:--workers|-w)[= ]?([0-9]+)", words)
    count = int([os.environ.get("WEB_CONCURRENCY", ""), *counts][-1] or 1)
    if count > 1:
        logger.warning(
            "There are %d processes of this application, and each has tasks of its own, which the others "
            "don't find. Start one process, or give all of them the same redis_url.",
            count,
        )
