"""Commands to be pasted into a shell."""

import os
import shlex
import subprocess
import sys
from pathlib import Path


def python_command(program: str | Path, *arguments: str) -> str:
    """The command that runs a program with the interpreter of this one."""
    words = [interpreter(), str(program), *arguments]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def interpreter() -> str:
    """The path of this interpreter, relative if it is in a folder below the current one."""
    path = Path(sys.executable or "python")
    with_folder = len(path.parts) > len(Path.cwd().parts) + 1  # a bare name would be looked up in PATH
    if with_folder and path.is_relative_to(Path.cwd()):  # not resolved: a venv's is a link out of it
        return str(path.relative_to(Path.cwd()))
    return str(path)


def server_command() -> str:
    """The command that starts the server, whose program is beside the one that runs."""
    app = Path(sys.argv[0]).parent / "app.py"
    return python_command(app if app.is_file() else "app.py")
