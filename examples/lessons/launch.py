"""uvicorn, but it ends when the process that has started it ends, however that happens.

Started by server.py, with a pipe for its stdin: the pipe is closed when the other end has gone.
"""

import os
from threading import Thread

import uvicorn


def end_with_parent() -> None:
    """Wait for the end of stdin, and end the process."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    Thread(target=end_with_parent, daemon=True).start()
    uvicorn.main()
