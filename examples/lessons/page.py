"""The page of the lessons: `python -m examples`."""

import secrets
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from examples.lessons.hints import HINTS
from examples.lessons.lesson import BROKEN, FIXED, Lesson, find, lessons
from examples.lessons.run import Run
from taskstream import TaskStream, Update, WorkError

ROOT = Path(__file__).parent.parent.parent
STATIC = Path(__file__).parent / "static"
MAX_RUNS = 3
"""How many runs there are at a time: each has two servers. A new one ends the oldest."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-src http://127.0.0.1:*; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}

tasks = TaskStream(page=False, retention_seconds=60, history_length=5000)
runs: OrderedDict[str, Run] = OrderedDict()


@tasks.work(public=False)
async def play(*, run_id: str) -> AsyncIterator[Update]:
    """Play both sides of a lesson; the data of an update lists what happened."""
    try:
        async for items in runs[run_id].items():
            yield Update(0, "Playing", items)
    except RuntimeError as error:
        raise WorkError(str(error)) from None
    finally:
        runs.pop(run_id, None)


async def from_our_page(
    request: Request,
    sec_fetch_site: Annotated[str, Header()] = "same-origin",
    origin: Annotated[str | None, Header()] = None,
) -> None:
    """Refuse what the page of another site asks for: it would start processes here."""
    ours = origin is None or origin == f"http://{request.headers.get('host')}"
    if sec_fetch_site not in ("same-origin", "none") or not ours:
        raise HTTPException(403, "This is for the page of the lessons only.")


app = FastAPI(title="Lessons", lifespan=tasks.lifespan, dependencies=[Depends(from_our_page)])


def commands(lesson: Lesson) -> dict[str, str]:
    """What to run in a terminal: to see the lesson there, and to practise it."""
    show = {"The same in a terminal": f"{sys.executable} {lesson.path.relative_to(ROOT)}"}
    if lesson.name not in HINTS:
        return show
    return {**show, "To practise it": f"{sys.executable} -m examples --exercise {lesson.name}"}


def find_lesson(name: str) -> Lesson:
    """The lesson with this name, or a 404."""
    try:
        return find(name)
    except LookupError as error:
        raise HTTPException(404, str(error)) from None


FoundLesson = Annotated[Lesson, Depends(find_lesson)]


@app.get("/lessons")
async def list_lessons() -> list[dict[str, str]]:
    """Names and titles, in their order."""
    return [{"name": lesson.name, "title": lesson.title} for lesson in lessons()]


@app.get("/lessons/{name}")
async def show_lesson(lesson: FoundLesson) -> dict[str, object]:
    """What it asks and answers, and the code of both sides, line by line."""
    return {
        "name": lesson.name,
        "title": lesson.title,
        "sections": lesson.sections,
        "commands": commands(lesson),
        "code": compare(lesson.half(BROKEN), lesson.half(FIXED)),
    }


@app.post("/lessons/{name}/play")
async def play_lesson(lesson: FoundLesson) -> dict[str, str]:
    """Play it; the id of the run."""
    while len(runs) >= MAX_RUNS:
        await end(next(iter(runs)))
    run_id = secrets.token_hex(8)
    runs[run_id] = run = Run(lesson)
    run.task_id = (await tasks.start(play, name=lesson.title, run_id=run_id)).task_id
    return {"run_id": run_id}


async def end(run_id: str) -> None:
    """Stop a run, and forget it."""
    await tasks.cancel(runs.pop(run_id).task_id)


def find_run(run_id: str) -> Run:
    """The run with this id, or a 404."""
    if run := runs.get(run_id):
        return run
    raise HTTPException(404, "This run has ended: play the lesson again.")


FoundRun = Annotated[Run, Depends(find_run)]


@app.get("/runs/{run_id}/stream")
async def stream(request: Request, run: FoundRun) -> Response:
    """What happens, as it happens."""
    return await tasks.stream(request, run.task_id)


@app.post("/runs/{run_id}/cut", status_code=204)
async def cut(run: FoundRun) -> None:
    """Cut the connections of all viewers."""
    run.cut()


@app.post("/runs/{run_id}/add-viewer", status_code=204)
async def add_viewer(run: FoundRun) -> None:
    """Let one more viewer watch."""
    await run.add_viewer()


@app.post("/runs/{run_id}/stop-server", status_code=204)
async def stop_server(run: FoundRun) -> None:
    """Stop the servers."""
    await run.stop_server()


@app.post("/runs/{run_id}/end", status_code=204)
async def end_run(run: FoundRun, run_id: str) -> None:  # noqa: ARG001 - it has to exist
    """End a run that nobody looks at any more."""
    await end(run_id)


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page itself."""
    return FileResponse(STATIC / "index.html", headers=HEADERS)


app.mount("/static", StaticFiles(directory=STATIC))


def compare(broken: str, fixed: str) -> list[dict[str, object]]:
    """Rows of two lines side by side, and whether they differ; `null` where one side has no line."""
    left, right = broken.splitlines(), fixed.splitlines()
    rows: list[dict[str, object]] = []
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for tag, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        pairs = zip_longest(left[left_from:left_to], right[right_from:right_to])
        rows += [{"broken": one, "fixed": other, "differs": tag != "equal"} for one, other in pairs]
    return rows
