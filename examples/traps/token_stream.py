"""The text starts over when the viewer reconnects.

    python examples/traps/token_stream.py

Question: Why does the answer of a language model stand there twice after a short cut?
Symptom:  the page appends each token; after a reconnection the answer begins again behind its first half,
          in other words than before, and both answers are on the bill.
Cause:    the model is asked inside the generator of the stream, so every connection asks it anew. To skip
          the tokens that a viewer has seen doesn't help: a model hardly says the same thing twice.
Cure:     ask once, and keep the tokens in a log, each with its number as id; a stream reads the log after
          Last-Event-ID. How long an answer gets, nobody knows: so its end is in the log too. (As an
          application: `examples/tokens.py`.)
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

app = FastAPI()
ANSWERS = ("A task runs once, whoever watches.", "Whoever watches, a task runs once.")
asked = itertools.count()


async def ask_model() -> AsyncIterator[ServerSentEvent]:
    """The tokens of an answer. Each of them costs money."""
    answer = ANSWERS[next(asked) % 2]
    print(f"work: the model begins to say: {answer}")
    for number, token in enumerate(answer.split(), 1):
        await asyncio.sleep(0.1)
        yield ServerSentEvent(f"{token} ", id=str(number))


@app.get("/broken")
async def broken() -> EventSourceResponse:
    """Ask the model for this connection."""
    return EventSourceResponse(ask_model())


class Answer:
    """One answer, and the log of its tokens."""

    def __init__(self) -> None:
        self.tokens: list[ServerSentEvent] = []
        self.ended = False
        self.changed = asyncio.Condition()
        self.task = asyncio.create_task(self.write())

    async def write(self) -> None:
        """Append what the model says, and then the end, even if it fails."""
        try:
            async for token in ask_model():
                self.tokens.append(token)
                await self.notify()
        finally:
            self.ended = True
            await self.notify()

    async def notify(self) -> None:
        """Wake those who read."""
        async with self.changed:
            self.changed.notify_all()

    async def read(self, seen: int) -> AsyncIterator[ServerSentEvent]:
        """The tokens after the first `seen`, up to the end."""
        for number in itertools.count(seen):
            async with self.changed:
                while len(self.tokens) == number and not self.ended:
                    await self.changed.wait()
            if number >= len(self.tokens):
                return
            yield self.tokens[number]


answers: dict[str, Answer] = {}


@app.get("/fixed")
async def fixed(question: str = "1", last_event_id: Annotated[int, Header()] = 0) -> Response:
    """Ask the model unless it has been asked, and show the rest of the answer."""
    if question not in answers:
        answers[question] = Answer()
    answer = answers[question]
    if answer.ended and last_event_id >= len(answer.tokens):
        return Response(status_code=204)
    return EventSourceResponse(answer.read(last_event_id))


SCENARIO = {"cut_after": 3, "connections": 2}

if __name__ == "__main__":
    from show import show

    show(__file__)
