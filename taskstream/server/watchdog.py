"""The end of a process that doesn't come to one by itself.

What may hold up the end of a Python program: a thread of the default executor in the middle of something
long (`asyncio.to_thread(time.sleep, 20)`), a coroutine that swallows its cancellation, a call that blocks
the loop. None of them can be interrupted from inside the process, so the process is ended around them.
"""

import os
import threading

END_SECONDS = 2.7
"""From the signal to the end: less than the 3 s that are promised."""


def end_in_time(signal_number: int) -> None:
    """End the process soon, unless it has ended by itself: with the status of one that the signal ended."""
    timer = threading.Timer(END_SECONDS, end_now, [signal_number])
    timer.daemon = True
    timer.start()


def end_now(signal_number: int) -> None:
    """End the process, as a shell would say that the signal did."""
    os.write(2, b"Some work did not stop: ended it with the server.\n")
    os._exit(128 + signal_number)
