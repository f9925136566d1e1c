"""Start many tasks and watch all of them at once.

python multiple_task.py --count 5 --seconds 10
python multiple_task.py --task-id <id> --task-id <id>      watch tasks that exist already
"""

import asyncio
from contextlib import aclosing

import aiohttp

from client import start_task, watch_task
from taskstream.client.event_source import open_session
from taskstream.client.protocol import NAME_CHARACTERS, ServerError
from taskstream.terminal import Arguments, Terminal, parse_arguments


async def start_and_watch(
    session: aiohttp.ClientSession, arguments: Arguments, terminal: Terminal, name: str
) -> None:
    """Start a task, and watch it to its end."""
    fields = {**arguments.fields, "name": name}
    try:
        first = await start_task(session, arguments.url, terminal.retrying(), **fields)
    except ServerError as error:
        terminal.report_error(error)  # the others go on
    else:
        await watch(session, arguments, terminal, terminal.started(first))


async def watch(
    session: aiohttp.ClientSession, arguments: Arguments, terminal: Terminal, task_id: str
) -> None:
    """Watch a task to its end."""
    retrying, on_output = terminal.retrying(task_id), terminal.on_output(task_id)
    snapshots = watch_task(session, arguments.url, task_id, retrying, on_output)
    try:
        async with aclosing(snapshots):
            async for snapshot in snapshots:
                terminal.show(snapshot)
    except ServerError as error:
        terminal.report_error(error, task_id)  # the others go on


async def main(arguments: Arguments, terminal: Terminal) -> None:
    """Start tasks, unless there are some to watch, and show all of them."""
    async with open_session(arguments.url, arguments.headers) as session:
        if arguments.task_ids:
            each = [watch(session, arguments, terminal, task_id) for task_id in arguments.task_ids]
        else:
            room = NAME_CHARACTERS - len(f" {arguments.count}")
            name = str(arguments.fields.get("name", "Task"))[:room]
            names = [f"{name} {number}" for number in range(1, arguments.count + 1)]
            each = [start_and_watch(session, arguments, terminal, name) for name in names]
        everything = [asyncio.create_task(one) for one in each]
        try:
            await asyncio.gather(*everything)
        finally:  # one that fails, as when the output is closed, doesn't end the others by itself
            for one in everything:
                one.cancel()


if __name__ == "__main__":
    arguments = parse_arguments(__doc__, many=True)
    with Terminal(arguments, many=True) as terminal:
        asyncio.run(main(arguments, terminal))
