"""Our server with its tasks in a file."""

import sys
import tempfile
from pathlib import Path

from benchmarks.peers.ours import app, tasks
from taskstream.server import serve

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tasks-") as folder:
        tasks.configure(database=str(Path(folder) / "tasks.db"))
        serve(app, port=int(sys.argv[1]))
