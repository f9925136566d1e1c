"""Thousands of viewers that come, go, stall, are cut and resume, while tasks run, fail and are cancelled.

    python -m benchmarks.soak                        (2,000 viewers, seven minutes, both cores)
    python -m benchmarks.soak --way sse-starlette --loop asyncio

Every viewer's list has to be whole. After a warm-up that takes as long again, the server has to end with
what it began with. If it has more, the load comes three times again, and it has to end with that: a heap
stops growing at its highest peak, a leak doesn't. On loopback only.
"""

import argparse
import asyncio
import random
import sys
from collections import Counter

import aiohttp

from benchmarks.soak.census import excess, take_census
from benchmarks.soak.load import Load
from benchmarks.soak.server import ALLOCATORS, LOOPS, WAYS, SoakServer
from taskstream.server.serve import allow_many_connections

CRASHES = ("Exception in ASGI application", "A stream failed", "Exception in callback", "never retrieved")
"""What the log of the server never says; the failures of tasks are on purpose."""
ROUNDS = 3
"""Of load, for a server that has more after the first one."""


async def soak(server: SoakServer, options: argparse.Namespace) -> list[str]:
    """Warm up, take stock, load, take stock again; print it all. What went wrong, if anything did."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(30)) as session:
        load = Load(session, server.url, random.Random(options.seed), options.viewers)
        await load.last(max(options.seconds, 2 * options.retention_seconds))
        after = await take_census(load, server)
        load.counts = Counter(
            viewers=0, connections=0, cuts=0, stalls=0, tasks=0, events=0, lost=0, doubled=0
        )
        for rounds in (1, ROUNDS):
            before = after
            for _ in range(rounds):
                await load.last(options.seconds)
            after = await take_census(load, server, before)
            if not excess(before, after, server):
                break
    for name, count in load.counts.items():
        print(f"{name:24} {count:>12,}")
    print(f"\n{'':24} {'before':>12} {'after':>12}")
    for name in before:
        print(f"{name:24} {before[name]:>12,} {after[name]:>12,}")
    crashes = [line for line in server.lines if any(words in line for words in CRASHES)]
    return load.wrong + excess(before, after, server) + crashes


def main() -> None:
    """Soak a server; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=2000, help="viewers at a time (default: 2000)")
    parser.add_argument("--seconds", type=float, default=180, help="how long they come (default: 180)")
    parser.add_argument(
        "--retention-seconds", type=float, default=15, help="how late they may come (default: 15)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (default: 1)")
    ways = "; ".join(f"{name}: {meaning}" for name, meaning in WAYS.items())
    parser.add_argument(
        "--way", choices=WAYS, default="attached", help=f"how it streams ({ways}; default: attached)"
    )
    parser.add_argument("--loop", choices=LOOPS, default="uvloop", help="the event loop (default: uvloop)")
    allocators = "; ".join(f"{name}: {meaning}" for name, meaning in ALLOCATORS.items())
    parser.add_argument(
        "--allocator",
        choices=ALLOCATORS,
        default="malloc",
        help=f"of memory ({allocators}; default: malloc)",
    )
    arguments = parser.parse_args()
    allow_many_connections()
    print(
        f"{arguments.viewers} viewers at a time for {arguments.seconds:g} s, seed {arguments.seed}, "
        f"{arguments.way}, {arguments.loop}, {arguments.allocator}\n"
    )
    retention = ("--retention-seconds", str(arguments.retention_seconds))
    way = ("--way", arguments.way, "--loop", arguments.loop)
    with SoakServer(*retention, *way, allocator=arguments.allocator) as server:
        wrong = asyncio.run(soak(server, arguments))
    print("\n".join(["", *wrong[:20], f"{len(wrong)} things are wrong" if wrong else "Nothing lost"]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
