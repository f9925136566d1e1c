"""Serve an example: on port 8000, or on the one that `--port` names."""

import argparse
import socket

from fastapi import FastAPI

from taskstream.server import serve

DEFAULT_PORT = 8000


def run(app: FastAPI, description: str) -> None:
    """Serve an application until Ctrl-C, with `--port` and `--help`."""
    parser = argparse.ArgumentParser(description=description)
    add_port(parser)
    port = parser.parse_args().port
    check_port(parser, port)
    serve(app, port=port)


def add_port(parser: argparse.ArgumentParser, flag: str = "--port", default: int = DEFAULT_PORT) -> None:
    """Add a flag for a port to a command line."""
    parser.add_argument(flag, type=int, default=default, help=f"port to listen on ({default})")


def check_port(parser: argparse.ArgumentParser, port: int, flag: str = "--port") -> None:
    """Exit with code 2 and a sentence unless the port is free: uvicorn would exit with a log entry."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):
        parser.exit(2, f"Port {port} is not free: choose another one with {flag}.\n")
