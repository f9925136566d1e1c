"""The scenario of each lesson, played with both paths: what happens, in which order, where they part."""

import asyncio
import re
import signal
import sys
import time

import pytest

from examples.lessons.lesson import PATHS, SECTIONS, Lesson, find, lessons
from examples.lessons.timeline import Kind, Moment, Timeline, part
from tests.support.backends import require
from tests.support.examples import children, exists
from tests.support.programs import ROOT, Program

pytestmark = pytest.mark.slow

ALL = [lesson.name for lesson in lessons()]


async def play(name: str) -> list[Timeline]:
    """The timelines of both sides, played at the same time."""
    lesson = find(name)
    timelines = [Timeline(), Timeline()]

    async def play_side(path: str, timeline: Timeline) -> None:
        async with lesson.play(timeline) as playing:
            await playing.run(path)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for path, timeline in zip(PATHS, timelines, strict=True):
            group.create_task(play_side(path, timeline))
    return timelines


def short(moment: Moment | None) -> str:
    """A moment without its time."""
    return f"{moment.viewer} {moment.kind} {moment.text}".strip() if moment else ""


def parting(broken: Timeline, fixed: Timeline) -> tuple[str, str]:
    """What happens on each side where they part."""
    moments = part(broken, fixed)
    assert moments, "both sides are the same"
    return short(moments.broken), short(moments.fixed)


def seen(timeline: Timeline, viewer: str = "A") -> list[str]:
    """What happened to one viewer, but for responses and bytes."""
    moments = [each for each in timeline.seen_by(viewer) if each.kind is not Kind.RESPONSE]
    return [short(each).removeprefix(f"{viewer} ") for each in moments]


BROKEN, FIXED = "request GET /broken", "request GET /fixed"
WAIT, END = "wait EventSource waits, then connects again", "end the stream ends"
CUT, BREAK = "cut the connection is cut", "end the connection breaks off"
CLOSED, SILENCE = "closed EventSource stops for good", "silence nothing more comes, and no end"
LEAVE = "closed the viewer leaves"
STEP, WITH_ID = "step {0}  (id {0})", "event {0}  (id {0})"
EVENT, NOTE = "event {}", '{"step": 1, "note": "so far, so good"}'


def events(pattern: str, *values: object) -> list[str]:
    """Events, in each of which one of these values stands in the place of `{}`."""
    return [f"event {pattern.format(value)}" for value in values]


def tokens(text: str, first: int = 1) -> list[str]:
    """Events with a word and the space behind it, and with numbers as ids."""
    return [f"event {word}   (id {number})" for number, word in enumerate(text.split(), first)]


def again(request: str, last_event_id: int) -> list[str]:
    """A reconnection."""
    return [WAIT, f"{request}, Last-Event-ID: {last_event_id}"]


def both(*moments: str) -> tuple[list[str], list[str]]:
    """The same on both sides."""
    return [BROKEN, *moments], [FIXED, *moments]


DATED = events(
    "{}",
    '{"step":1,"note":"so far, so good"}',
    '{"step":2,"finished":"2026-01-31T12:00:00Z"}',
    '{"step":3,"ratio":null,"handle":"<class \'object\'>"}',
)
OF_THREE = "event {0} of 3  (id {0})"
EXPECTED: dict[str, tuple[list[str], list[str]]] = {
    "work_restarts": (
        [
            *(BROKEN, *events(f"run 1, {STEP}", 1, 2, 3), CUT),
            *(*again(BROKEN, 3), *events(f"run 2, {STEP}", 1, 2, 3, 4, 5), END),
        ],
        [
            *(FIXED, *events(f"run 1, {STEP}", 1, 2, 3), CUT),
            *(*again(FIXED, 3), *events(f"run 1, {STEP}", 4, 5), END),
        ],
    ),
    "token_stream": (
        [
            *(BROKEN, *tokens("A task runs"), CUT),
            *(*again(BROKEN, 3), *tokens("Whoever watches, a task runs once."), END),
        ],
        [FIXED, *tokens("A task runs"), CUT, *again(FIXED, 3), *tokens("once, whoever watches.", 4), END],
    ),
    "stolen_events": (
        [BROKEN, *events(EVENT, 1, 3, 5, 7, 9), LEAVE],
        [FIXED, *events(EVENT, 1, 2, 3, 4, 5), LEAVE],
    ),
    "endless_reconnects": (
        [BROKEN, *events(OF_THREE, 1, 2, 3), END, *[*again(BROKEN, 3), END] * 4],
        [FIXED, *events(OF_THREE, 1, 2, 3), END, *again(FIXED, 3), CLOSED],
    ),
    "newline_in_data": (
        [BROKEN, *events("{}", "joined: Ada", "logout: now"), END],
        [FIXED, *events("{}", "joined: Ada⏎⏎event: logout⏎data: now"), END],
    ),
    "datetime_in_data": (
        [BROKEN, *events("{}", NOTE), BREAK, WAIT, BROKEN, *events("{}", NOTE), BREAK],
        [FIXED, *DATED, END, WAIT, FIXED, *DATED, END],
    ),
    "blocking_call": both(*events("{}", "writing the report", "the report is written"), END),
    "hanging_bridge": (
        [BROKEN, *events("{} %", 25, 50, 75, 100), SILENCE],
        [FIXED, *events("{} %", 25, 50, 75, 100), END],
    ),
    "nested_bar": (
        [BROKEN, *events("{} %", 0, 50, 50, 50, 50, 50, 100), END],
        [FIXED, *events("{} %", 0, 17, 33, 50, 67, 83, 100), END],
    ),
    "subscribing_after_replay": (
        [BROKEN, *events(WITH_ID, 1, 2, 3, *range(6, 13)), LEAVE],
        [FIXED, *events(WITH_ID, *range(1, 11)), LEAVE],
    ),
    "nobody_watches": both(*events("price {}", 1, 2, 3), LEAVE),
    "buffering_proxy": both(*events(EVENT, 1, 2, 3, 4, 5), END),
    "closing_stream": (
        [BROKEN, *events(WITH_ID, 1, 2, 3, 4, 5), END, *again(BROKEN, 5), CLOSED],
        [
            FIXED,
            *[
                each
                for number in range(1, 6)
                for each in (*events(WITH_ID, number), END, *again(FIXED, number))
            ],
            CLOSED,
        ],
    ),
    "compressing_middleware": (
        [BROKEN, f"{BROKEN}/", *events(EVENT, 1, 2, 3, 4, 5), END],
        [FIXED, f"{FIXED}/", *events(EVENT, 1, 2, 3, 4, 5), END],
    ),
    "five_minute_timeout": (
        [BROKEN, *events(EVENT, 1, 2, 3, 4), BREAK],
        [FIXED, *events(EVENT, *range(1, 9)), END],
    ),
    "mute_connection": (
        [BROKEN, *events(WITH_ID, 1, 2, 3), SILENCE],
        [FIXED, *events(WITH_ID, 1, 2, 3, 4, 5, 6), END],
    ),
    "authorization_header": (
        ["request POST /login", BROKEN, CLOSED],
        ["request POST /login", FIXED, *events(EVENT, 1, 2, 3), END],
    ),
    "several_workers": (
        [BROKEN, *events(STEP, 1, 2), CUT, *again(BROKEN, 2), CLOSED],
        [FIXED, *events(STEP, 1, 2), CUT, *again(FIXED, 2), *events(STEP, 3, 4, 5), END],
    ),
    "retry_storm": (
        [BROKEN, *events(WITH_ID, 1), CUT, *again(BROKEN, 1), *events(WITH_ID, 2), END],
        [FIXED, *events(WITH_ID, 1), CUT, *again(FIXED, 1), *events(WITH_ID, 2), END],
    ),
    "endless_test": (
        [BROKEN, *events("{}", "the test has started"), SILENCE],
        [FIXED, *events("{}", "the test has started", "the test has passed"), END],
    ),
}
"""What viewer A sees in the scenario of each lesson, in its order, on both sides."""
ELSEWHERE = {"event_named_error", "seventh_stream", "unstoppable_server"}


def test_all_are_here() -> None:
    """Each lesson has its timeline asserted."""
    assert {*EXPECTED, *ELSEWHERE} == {*ALL}


@pytest.mark.parametrize("name", EXPECTED)
async def test_timeline(name: str) -> None:
    """What viewer A sees on each side, in its order; and that the two sides part."""
    broken, fixed = await play(name)
    assert (seen(broken), seen(fixed)) == EXPECTED[name]
    assert parting(broken, fixed)
    assert part(broken, broken) is None
    check = globals().get(f"check_{name}")
    if check:
        check(broken, fixed)


def check_work_restarts(broken: Timeline, fixed: Timeline) -> None:
    """The work runs twice, or once."""
    assert broken.of(Kind.WORK) == ["run 1 starts", "run 2 starts"]
    assert fixed.of(Kind.WORK) == ["run 1 starts"]


def check_token_stream(broken: Timeline, fixed: Timeline) -> None:
    """They part at the first token after the reconnection; the model is asked twice, or once."""
    assert parting(broken, fixed) == ("A event Whoever   (id 1)", "A event once,   (id 4)")
    assert (len(broken.of(Kind.WORK)), len(fixed.of(Kind.WORK))) == (2, 1)


def check_stolen_events(broken: Timeline, fixed: Timeline) -> None:
    """What A gets, B doesn't; or both get all."""
    assert broken.of(Kind.EVENT, viewer="B") == [f"event {number}" for number in (2, 4, 6, 8, 10)]
    assert fixed.of(Kind.EVENT, viewer="B") == fixed.of(Kind.EVENT, viewer="A")


def check_datetime_in_data(broken: Timeline, fixed: Timeline) -> None:
    """The server says why."""
    for text in broken.of(Kind.SERVER):
        assert re.fullmatch(r"line \d+: TypeError: Object of type datetime is not JSON serializable", text)
    assert len(broken.of(Kind.SERVER)) == 2
    assert fixed.of(Kind.SERVER) == []


def check_blocking_call(broken: Timeline, fixed: Timeline) -> None:
    """Viewer B gets no tick while the report is written; or some four of them."""

    def ticks(timeline: Timeline) -> int:
        moments = [each for each in timeline.moments if each.kind is Kind.EVENT]
        (begin, end) = (each.at for each in moments if each.viewer == "A")
        return len([each for each in moments if each.viewer == "B" and begin + 0.1 < each.at < end - 0.1])

    assert ticks(broken) == 0
    assert ticks(fixed) >= 3


def check_nobody_watches(broken: Timeline, fixed: Timeline) -> None:
    """The viewers see no difference, but the work goes on without them; or it ends."""
    theirs, ours = parting(broken, fixed)
    assert re.fullmatch(r"work question \d, viewers: 0", theirs)
    assert ours == ""
    assert len([text for text in broken.of(Kind.WORK) if text.endswith("viewers: 0")]) >= 3
    assert not [text for text in fixed.of(Kind.WORK) if text.endswith("viewers: 0")]


def check_buffering_proxy(broken: Timeline, fixed: Timeline) -> None:
    """All events are in one piece of bytes; or each in its own, when it happens."""
    assert (len(broken.of(Kind.BYTES)), len(fixed.of(Kind.BYTES))) == (1, 5)
    theirs, ours = parting(broken, fixed)
    assert theirs == ours  # but at another time


def check_mute_connection(broken: Timeline, fixed: Timeline) -> None:
    """The client does not notice; or it connects again."""
    assert broken.of(Kind.WORK) == []
    assert fixed.of(Kind.WORK) == ["no heartbeat since event 3: connect again"]


def check_several_workers(broken: Timeline, fixed: Timeline) -> None:
    """One process runs the job, on both sides; the other one knows nothing of it, or the log."""
    for timeline in (broken, fixed):
        assert len({text.split(",")[0] for text in timeline.of(Kind.WORK)}) == 1
    assert "404 application/json" in broken.of(Kind.RESPONSE)
    assert "404 application/json" not in fixed.of(Kind.RESPONSE)


def check_retry_storm(broken: Timeline, fixed: Timeline) -> None:
    """All viewers come back at the same moment; or one after the other."""

    def worst(timeline: Timeline) -> int:
        return max(int(text.rpartition(" ")[2]) for text in timeline.of(Kind.WORK))

    def spread(timeline: Timeline) -> float:
        times = [each.at for each in timeline.moments if "Last-Event-ID: 1" in each.text]
        assert len(times) == 12
        return max(times) - min(times)

    assert spread(broken) < 0.4
    assert spread(fixed) > 0.6
    assert worst(broken) > worst(fixed)


async def test_unstoppable_server() -> None:
    """Broken: it still runs after Ctrl-C, and the stream goes on. Fixed: both end."""
    broken, fixed = await play("unstoppable_server")
    assert broken.of(Kind.SERVER) == ["Ctrl-C", "the server still runs"]
    assert broken.moments[-1].kind is not Kind.END
    assert fixed.of(Kind.SERVER) == ["Ctrl-C", "the server has stopped"]
    assert len(fixed.of(Kind.END, viewer="A")) == 1


@pytest.mark.parametrize("name", ALL)
def test_form(name: str) -> None:
    """Each lesson has a question, symptom, cause and cure, is one file, and ends with a call of `show`.

    Its two halves differ, and each is a module that serves its own path and not the other.
    """
    lesson: Lesson = find(name)
    assert list(lesson.sections) == list(SECTIONS)
    assert lesson.sections["Question"].endswith("?")
    assert f"    python examples/traps/{name}.py\n" in lesson.source
    assert lesson.source.endswith(
        'if __name__ == "__main__":\n    from show import show\n\n    show(__file__)\n'
    )
    for path, other in (PATHS, reversed(PATHS)):
        text = lesson.half(path)
        compile(text, name, "exec")
        assert path in text
        assert f'"{other}"' not in text
    assert lesson.half(PATHS[0]) != lesson.half(PATHS[1])


@pytest.mark.parametrize("flags", [(), ("--wire",)])
def test_terminal(flags: tuple[str, ...]) -> None:
    """The same timeline in a terminal, with the bytes on demand."""
    with Program("examples/traps/newline_in_data.py", *flags) as program:
        assert program.wait(30) == 0, program.output
    broken, fixed = re.split(r"^/fixed\n", program.output, maxsplit=1, flags=re.MULTILINE)
    assert re.search(r"^ +\d\.\d s  A  event +logout: now$", broken, re.MULTILINE)
    assert "logout: now" not in fixed
    assert re.search(r"^They part after \d\.\d s\.$", fixed, re.MULTILINE)
    assert (r"data: Ada\r\revent" in broken) is bool(flags)


def test_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright and Chromium are missing separately, and the command names this interpreter."""
    without_playwright = "import sys; sys.modules['playwright'] = None; "
    run = "import runpy; runpy.run_path('examples/traps/event_named_error.py', run_name='__main__')"
    path = "import sys; sys.path.insert(0, 'examples/traps'); sys.argv = ['event_named_error.py']; "
    with Program("-c", path + without_playwright + run) as program:
        assert program.wait(30) == 1
    assert f"needs Playwright: {sys.executable} -m pip install playwright" in program.output
    assert "Chromium" not in program.output
    monkeypatch.setenv("PATH", "")
    with Program("-c", path + run, PLAYWRIGHT_BROWSERS_PATH=str(ROOT / "nothing")) as program:
        assert program.wait(30) == 1
    assert f"needs Chromium: {sys.executable} -m playwright install chromium" in program.output
    assert "Traceback" not in program.output


def test_page_lesson() -> None:
    """A lesson that is about pages is shown by a browser: what its page says on each side."""
    require("chromium")
    broken_line, fixed_line = "The connection is lost!", "two of three files imported"
    with Program("examples/traps/event_named_error.py") as program:
        assert program.wait(60) == 0, program.output
    broken, fixed = re.split(r"^/fixed\n", program.output, maxsplit=1, flags=re.MULTILINE)
    for text, line in ((broken, broken_line), (fixed, fixed_line)):
        assert re.search(rf"^ +\d\.\d s  A  page +{line}$", text, re.MULTILINE), program.output
    assert broken_line not in fixed
    assert fixed_line not in broken


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ends_with_its_server(number: int) -> None:
    """However a lesson is ended, its server ends with it."""
    with Program("examples/traps/unstoppable_server.py") as program:
        program.wait_for("tick")
        (server,) = children(program.process.pid)
        code = program.stop(number)
        assert code in (130, -number)
        assert "Traceback" not in program.output
    deadline = time.monotonic() + 10
    while exists(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not exists(server)
