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
from tests.support.timelines import EXPECTED

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


def seen(timeline: Timeline, viewer: str = "A") -> list[str]:
    """What happened to one viewer, but for responses and bytes."""
    moments = [each for each in timeline.seen_by(viewer) if each.kind is not Kind.RESPONSE]
    return [short(each).removeprefix(f"{viewer} ") for each in moments]


ELSEWHERE = {"event_named_error", "seventh_stream", "unstoppable_server"}


def test_all_are_here() -> None:
    """Each lesson has its timeline asserted."""
    assert {*EXPECTED, *ELSEWHERE} == {*ALL}


@pytest.mark.parametrize("name", EXPECTED)
async def test_timeline(name: str) -> None:
    """What viewer A sees on each side, in its order; and that the two sides part."""
    broken, fixed = await play(name)
    assert seen(broken) == EXPECTED[name].broken
    assert seen(fixed) == EXPECTED[name].fixed
    assert part(broken, fixed), "both sides are the same"
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
    parting = part(broken, fixed)
    assert parting is not None
    assert short(parting.broken) == "A event Whoever   (id 1)"
    assert short(parting.fixed) == "A event once,   (id 4)"
    assert len(broken.of(Kind.WORK)) == 2
    assert len(fixed.of(Kind.WORK)) == 1


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
    parting = part(broken, fixed)
    assert parting is not None
    assert re.fullmatch(r"work question \d, viewers: 0", short(parting.broken))
    assert parting.fixed is None
    assert len([text for text in broken.of(Kind.WORK) if text.endswith("viewers: 0")]) >= 3
    assert not [text for text in fixed.of(Kind.WORK) if text.endswith("viewers: 0")]


def check_buffering_proxy(broken: Timeline, fixed: Timeline) -> None:
    """All events are in one piece of bytes; or each in its own, when it happens."""
    assert len(broken.of(Kind.BYTES)) == 1
    assert len(fixed.of(Kind.BYTES)) == 5
    parting = part(broken, fixed)
    assert parting is not None
    assert short(parting.broken) == short(parting.fixed)  # but at another time


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
    """Each lesson has a question, symptom, cause and cure, is one file, and ends with a call of `show`."""
    lesson: Lesson = find(name)
    assert list(lesson.sections) == list(SECTIONS)
    assert lesson.sections["Question"].endswith("?")
    assert f"    python examples/traps/{name}.py\n" in lesson.source
    assert lesson.source.endswith(
        'if __name__ == "__main__":\n    from show import show\n\n    show(__file__)\n'
    )


@pytest.mark.parametrize("name", ALL)
def test_halves(name: str) -> None:
    """The two halves differ, and each is a module that serves its own path and not the other."""
    lesson = find(name)
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
