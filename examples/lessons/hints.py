"""The hints of the exercises, which are in their order: from the smallest stream to a log with cursors.

Three for each, from where to look to what is needed. Each names, between backticks, code that a solution
removes or adds.
"""

HINTS = {
    "newline_in_data": """
        `pasted` pastes the name into the frame. Who else could write the frame?
        `ServerSentEvent` takes data and the name of an event, and makes a field of each line of the data.
        Yield `ServerSentEvent(name, event="joined")`, and return an `EventSourceResponse`.
        """,
    "datetime_in_data": """
        Look at what the server prints: `json.dumps` raises, because JSON has no datetimes.
        `to_json` of `pydantic_core` turns datetimes into strings. It returns bytes.
        `serialize_unknown=True` makes strings of other objects, `inf_nan_mode="null"` makes null of NaN.
        """,
    "endless_reconnects": """
        A stream is not the only possible answer: `Response(` without a body is one as well.
        There is a status that means "do not reconnect": `status_code=204`.
        It is for viewers that have seen everything: `if last_event_id == LAST_ID`.
        """,
    "hanging_bridge": """
        `while thread.is_alive()` is still true after the last item. Which item could mean the end?
        Put one more item, `END`, into the queue when the function returns or raises: in a `finally`.
        An `asyncio.Queue` can be awaited without a thread; other threads fill it by `call_soon_threadsafe`.
        """,
    "nested_bar": """
        `percent = max(percent, 100 * share)` takes the share of one file for that of all. Who knows of all?
        `for _ in range(FILES):` throws away which file this is.
        Each file is one of `FILES`: yield `100 * (file + share) / FILES`.
        """,
    "blocking_call": """
        `yield write_report()` takes a second, in which the event loop does nothing else.
        `asyncio.to_thread` calls a function in a thread, and can be awaited.
        All that is needed: `yield await asyncio.to_thread(write_report)`.
        """,
    "stolen_events": """
        Both viewers take from `shared_queue`. Each needs one of its own.
        Where a stream begins: `queue: asyncio.Queue[str] = asyncio.Queue()`; and add it to `queues`.
        Viewers leave at any moment: `queues.remove(queue)` in a `finally`.
        """,
    "subscribing_after_replay": """
        Events that happen during `for number in await fetch_stored()` are lost: subscribe before it.
        Now some events are in both. Remember the `last` one of the replay.
        Yield an event of the queue only `if number > last`.
        """,
    "nobody_watches": """
        The `finally` runs when a viewer leaves. What has to happen to the task in `polls` then?
        The poll has to stop `if not viewers`.
        Cancel its task, and forget it, so that the next viewer starts another: `polls.pop().cancel()`.
        """,
    "work_restarts": """
        The stream must not iterate `work()`: a task (`asyncio.create_task`) does, and fills a list.
        A stream reads the list. After the last event it waits for the next, by an `asyncio.Condition`.
        It begins where the viewer has stopped: after `last_event_id`, a header that EventSource sends.
        """,
}


def hints(name: str) -> tuple[str, ...]:
    """The hints of an exercise."""
    return tuple(line.strip() for line in HINTS[name].strip().splitlines())
