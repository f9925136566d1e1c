"""What viewer A sees in the scenario of each lesson, in its order, on both sides."""

from dataclasses import dataclass


def events(*data: str) -> list[str]:
    """So many events."""
    return [f"event {each}" for each in data]


def numbered(pattern: str, *numbers: int) -> list[str]:
    """Events with these numbers."""
    return events(*(pattern.format(number) for number in numbers))


def tokens(*words: str, first: int = 1) -> list[str]:
    """Events with a word and the space behind it, and with numbers as ids."""
    return events(*(f"{word}   (id {number})" for number, word in enumerate(words, first)))


BROKEN, FIXED = "request GET /broken", "request GET /fixed"
WAIT, END = "wait EventSource waits, then connects again", "end the stream ends"
CUT, BREAK = "cut the connection is cut", "end the connection breaks off"
CLOSED, SILENCE = "closed EventSource stops for good", "silence nothing more comes, and no end"
LEAVE = "closed the viewer leaves"
STEP = "step {0}  (id {0})"


@dataclass(frozen=True)
class Expected:
    """What viewer A sees on both sides."""

    broken: list[str]
    fixed: list[str]


EXPECTED = {
    "work_restarts": Expected(
        [
            BROKEN, *numbered("run 1, " + STEP, 1, 2, 3), CUT, WAIT,
            f"{BROKEN}, Last-Event-ID: 3", *numbered("run 2, " + STEP, 1, 2, 3, 4, 5), END,
        ],
        [
            FIXED, *numbered("run 1, " + STEP, 1, 2, 3), CUT, WAIT,
            f"{FIXED}, Last-Event-ID: 3", *numbered("run 1, " + STEP, 4, 5), END,
        ],
    ),
    "token_stream": Expected(
        [
            BROKEN, *tokens("A", "task", "runs"), CUT, WAIT,
            f"{BROKEN}, Last-Event-ID: 3",
            *tokens("Whoever", "watches,", "a", "task", "runs", "once."), END,
        ],
        [
            FIXED, *tokens("A", "task", "runs"), CUT, WAIT,
            f"{FIXED}, Last-Event-ID: 3", *tokens("once,", "whoever", "watches.", first=4), END,
        ],
    ),
    "stolen_events": Expected(
        [BROKEN, *numbered("event {}", 1, 3, 5, 7, 9), LEAVE],
        [FIXED, *numbered("event {}", 1, 2, 3, 4, 5), LEAVE],
    ),
    "endless_reconnects": Expected(
        [
            BROKEN, *numbered("event {0} of 3  (id {0})", 1, 2, 3), END,
            *[WAIT, f"{BROKEN}, Last-Event-ID: 3", END] * 4,
        ],
        [
            FIXED, *numbered("event {0} of 3  (id {0})", 1, 2, 3), END,
            WAIT, f"{FIXED}, Last-Event-ID: 3", CLOSED,
        ],
    ),
    "newline_in_data": Expected(
        [BROKEN, *events("joined: Ada", "logout: now"), END],
        [FIXED, *events("joined: Ada⏎⏎event: logout⏎data: now"), END],
    ),
    "datetime_in_data": Expected(
        [*[BROKEN, *events('{"step": 1, "note": "so far, so good"}'), BREAK, WAIT] * 2][:-1],
        [
            *[
                FIXED,
                *events(
                    '{"step":1,"note":"so far, so good"}',
                    '{"step":2,"finished":"2026-01-31T12:00:00Z"}',
                    '{"step":3,"ratio":null,"handle":"<class \'object\'>"}',
                ),
                END,
                WAIT,
            ]
            * 2
        ][:-1],
    ),
    "blocking_call": Expected(
        [BROKEN, *events("writing the report", "the report is written"), END],
        [FIXED, *events("writing the report", "the report is written"), END],
    ),
    "hanging_bridge": Expected(
        [BROKEN, *numbered("{} %", 25, 50, 75, 100), SILENCE],
        [FIXED, *numbered("{} %", 25, 50, 75, 100), END],
    ),
    "nested_bar": Expected(
        [BROKEN, *numbered("{} %", 0, 50, 50, 50, 50, 50, 100), END],
        [FIXED, *numbered("{} %", 0, 17, 33, 50, 67, 83, 100), END],
    ),
    "subscribing_after_replay": Expected(
        [BROKEN, *numbered("event {0}  (id {0})", 1, 2, 3, *range(6, 13)), LEAVE],
        [FIXED, *numbered("event {0}  (id {0})", *range(1, 11)), LEAVE],
    ),
    "nobody_watches": Expected(
        [BROKEN, *numbered("price {}", 1, 2, 3), LEAVE],
        [FIXED, *numbered("price {}", 1, 2, 3), LEAVE],
    ),
    "buffering_proxy": Expected(
        [BROKEN, *numbered("event {}", 1, 2, 3, 4, 5), END],
        [FIXED, *numbered("event {}", 1, 2, 3, 4, 5), END],
    ),
    "closing_stream": Expected(
        [
            BROKEN, *numbered("event {0}  (id {0})", 1, 2, 3, 4, 5), END,
            WAIT, f"{BROKEN}, Last-Event-ID: 5", CLOSED,
        ],
        [
            FIXED, "event event 1  (id 1)", END, WAIT,
            f"{FIXED}, Last-Event-ID: 1", "event event 2  (id 2)", END, WAIT,
            f"{FIXED}, Last-Event-ID: 2", "event event 3  (id 3)", END, WAIT,
            f"{FIXED}, Last-Event-ID: 3", "event event 4  (id 4)", END, WAIT,
            f"{FIXED}, Last-Event-ID: 4", "event event 5  (id 5)", END, WAIT,
            f"{FIXED}, Last-Event-ID: 5", CLOSED,
        ],
    ),
    "compressing_middleware": Expected(
        [BROKEN, f"{BROKEN}/", *numbered("event {}", 1, 2, 3, 4, 5), END],
        [FIXED, f"{FIXED}/", *numbered("event {}", 1, 2, 3, 4, 5), END],
    ),
    "five_minute_timeout": Expected(
        [BROKEN, *numbered("event {}", 1, 2, 3, 4), BREAK],
        [FIXED, *numbered("event {}", *range(1, 9)), END],
    ),
    "mute_connection": Expected(
        [BROKEN, *numbered("event {0}  (id {0})", 1, 2, 3), SILENCE],
        [FIXED, *numbered("event {0}  (id {0})", 1, 2, 3, 4, 5, 6), END],
    ),
    "authorization_header": Expected(
        ["request POST /login", BROKEN, CLOSED],
        ["request POST /login", FIXED, *numbered("event {}", 1, 2, 3), END],
    ),
    "several_workers": Expected(
        [BROKEN, *numbered(STEP, 1, 2), CUT, WAIT, f"{BROKEN}, Last-Event-ID: 2", CLOSED],
        [
            FIXED, *numbered(STEP, 1, 2), CUT, WAIT,
            f"{FIXED}, Last-Event-ID: 2", *numbered(STEP, 3, 4, 5), END,
        ],
    ),
    "retry_storm": Expected(
        [
            BROKEN, *numbered("event {0}  (id {0})", 1), CUT, WAIT,
            f"{BROKEN}, Last-Event-ID: 1", *numbered("event {0}  (id {0})", 2), END,
        ],
        [
            FIXED, *numbered("event {0}  (id {0})", 1), CUT, WAIT,
            f"{FIXED}, Last-Event-ID: 1", *numbered("event {0}  (id {0})", 2), END,
        ],
    ),
    "endless_test": Expected(
        [BROKEN, *events("the test has started"), SILENCE],
        [FIXED, *events("the test has started", "the test has passed"), END],
    ),
}  # fmt: skip
