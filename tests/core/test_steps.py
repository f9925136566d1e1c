"""What a task counts, in a tree: the bar moves by the share of each loop, whatever calls what."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from taskstream import Snapshot, TaskStream, Update, WorkError, report, track
from taskstream.events import Count
from tests.core.running import end_of, story

Node = tuple[str, Any]
"""`("loop", (total is known, what is done for each item))`, `("report", percent)`, `("gather", nodes)`,
`("break", None)`, `("leave", None)`: begin a loop and keep its iterator, `("pause", None)`."""

PAUSE: Node = ("pause", None)
LEAVES = st.one_of(
    st.tuples(st.just("report"), st.none() | st.floats(-10, 110)),
    st.sampled_from([PAUSE, ("break", None), ("leave", None)]),
)
ANY_TREE = st.recursive(
    LEAVES,
    lambda nodes: st.one_of(
        st.tuples(
            st.just("loop"), st.tuples(st.booleans(), st.lists(st.lists(nodes, max_size=3), max_size=4))
        ),
        st.tuples(st.just("gather"), st.lists(nodes, max_size=3)),
    ),
    max_leaves=25,
)
ONE_LOOP_AN_ITEM = st.recursive(
    st.lists(st.floats(0, 100), max_size=3).map(
        lambda percents: [("report", each) for each in sorted(percents)]
    ),
    lambda item: st.lists(item, max_size=5).map(lambda items: [("loop", (True, items))]),
    max_leaves=25,
)


async def snapshots(work: Callable[..., object]) -> list[Snapshot]:
    """All snapshots of a run of some work, which are what they have to be."""
    seen = [event.snapshot for event in await story(work) if event.snapshot]
    progress = [each.progress for each in seen]
    assert progress == sorted(progress)
    assert all(0 <= each <= 99 for each in progress[:-1])
    assert (seen[-1].steps == []) == (seen[-1].status == "SUCCESS") or not seen[-2].steps
    for each in (count for snapshot in seen for count in snapshot.steps):
        assert each["done"] >= 0
        assert each["total"] is None or each["done"] <= each["total"] < math.inf
    assert max(len(each.steps) for each in seen) <= 4
    return seen


async def do(node: Node, kept: list[Iterator[object]], *, threads: bool) -> None:
    """Do what a node says, in the loop or in a thread for each node in a `gather`."""
    kind, what = node
    if kind == "loop":
        known, items = what
        for item in track(items if known else iter(tuple(items)), "Items", None if known else math.nan):
            if ("break", None) in item:
                break
            for each in item:
                await do(each, kept, threads=threads)
    elif kind == "gather" and threads:
        calls = (asyncio.to_thread(asyncio.run, do(each, kept, threads=False)) for each in what)
        await asyncio.gather(*calls)
    elif kind == "gather":
        await asyncio.gather(*(do(each, kept, threads=False) for each in what))
    elif kind == "report":
        report(what, "A report")
    elif kind == "leave":
        kept.append(left := track(range(3), "Left"))
        next(left)
    elif kind == "pause":
        await asyncio.sleep(0)


@settings(max_examples=80, deadline=None)
@given(st.lists(ANY_TREE, max_size=4), st.booleans())
def test_any_tree(nodes: list[Node], threads: bool) -> None:
    """Whatever loops, reports and unknown totals are in one another: progress never goes down, and ends."""

    async def work() -> None:
        kept: list[Iterator[object]] = []
        for each in nodes:
            await do(each, kept, threads=threads)

    assert asyncio.run(snapshots(work))[-1].progress == 100


@settings(max_examples=80, deadline=None)
@given(ONE_LOOP_AN_ITEM)
def test_the_true_share(nodes: list[Node]) -> None:
    """Where totals are known, and an item has one inner loop at most, the bar is where the work is."""
    tasks = TaskStream()
    task_id: asyncio.Future[str]

    async def compare(share: float) -> None:
        await asyncio.sleep(0)  # what was said is taken
        snapshot = await tasks.get(await task_id)
        assert abs(snapshot.progress - min(100 * share, 99)) <= 2

    async def follow(nodes: list[Node], begin: float, width: float) -> None:
        """Do what some nodes say, which are so much of the whole."""
        for kind, what in nodes:
            if kind == "report":
                report(what, "A report")
                await compare(begin + width * what / 100)
                continue
            _, items = what
            for number, item in enumerate(track(items, "Items")):
                here = begin + width * number / len(items)
                await compare(here)
                await follow(item, here, width / len(items))
            await compare(begin + width * bool(items))

    @tasks.work
    async def work() -> None:
        await follow(nodes, 0, 1)

    async def run() -> Snapshot:
        nonlocal task_id
        task_id = asyncio.get_running_loop().create_future()
        async with tasks:
            first = await tasks.start(work)
            task_id.set_result(first.task_id)
            return [each.snapshot async for each in tasks.follow(first.task_id) if each.snapshot][-1]

    last = asyncio.run(run())
    assert (last.status, last.progress) == ("SUCCESS", 100)


async def shown(work: Callable[..., object]) -> list[tuple[int, str, list[Count]]]:
    """Progress, message and steps of all snapshots of some work but the first two and the last."""
    return [(each.progress, each.message, each.steps) for each in (await snapshots(work))[2:-1]]


def count(label: str, done: float, total: float | None) -> Count:
    return {"label": label, "done": done, "total": total}


async def turn() -> None:
    """Have taken what was said."""
    await asyncio.sleep(0)


async def test_a_loop_in_a_loop() -> None:
    """The inner loop divides the current item of the outer one, and a report is of the current item."""

    async def work() -> None:
        for file in track(range(4), "Files"):
            for _ in track(range(5), "Pages", unit="pages"):
                await turn()
            if file == 1:
                report(50, "Looking back", "data")
                await turn()
            report(None, "Words alone")
            await turn()

    seen = await shown(work)
    pages = [count("Files", 1, 4), {**count("Pages", 3, 5), "unit": "pages"}]
    assert (40, "Pages: 3 of 5 pages", pages) in seen
    assert (50, "Looking back", [count("Files", 1, 4)]) in seen
    assert (50, "Words alone", [count("Files", 1, 4)]) in seen
    assert seen[-1] == (99, "Files: 4 of 4", [count("Files", 4, 4)])


async def test_four_steps_at_most() -> None:
    """Deeper than that, the outermost three and the innermost are shown; all of them count."""

    async def work() -> None:
        await recursive(0)

    async def recursive(depth: int) -> None:
        for number in track(range(2), f"Depth {depth}"):
            if number and depth < 50:
                await recursive(depth + 1)
            await turn()

    progress, _, steps = (await shown(work))[-53]
    assert [each["label"] for each in steps] == ["Depth 0", "Depth 1", "Depth 2", "Depth 50"]
    assert progress == 99


@pytest.mark.parametrize(
    ("total", "unit", "words", "known"),
    [
        (None, None, "Reading: 1,203", None),
        (None, "lines", "Reading: 1,203 lines", None),
        (0, "lines", "Reading: 1,203 lines", None),
        (-1, None, "Reading: 1,203", None),
        (math.inf, None, "Reading: 1,203", None),
        (math.nan, None, "Reading: 1,203", None),
        (10**400, None, "Reading: 1,203", None),
        (5, None, "Reading: 1,203", None),  # which was a lie
        (2500.5, None, "Reading: 1,203 of 2,500.5", 2500.5),
        (12_000_000, "B", "Reading: 0 of 12 MB", 12_000_000),
        (None, "B", "Reading: 1.2 kB", None),
        (5000, "B", "Reading: 1.2 of 5 kB", 5000),
    ],
)
async def test_totals(total: float | None, unit: str | None, words: str, known: float | None) -> None:
    """A total that isn't known, or can't be one, leaves the count; large numbers and bytes are readable."""

    async def work() -> None:
        for _ in track(iter(lambda: 0, 1), "Reading", total, unit=unit):
            if _ is None or len(done) == 1203:
                await turn()
                break
            done.append(0)

    done: list[int] = []
    progress, message, steps = (await shown(work))[-1]
    assert (message, steps[0]["done"], steps[0]["total"]) == (words, 1203, known)
    assert (progress > 0) == (total is not None and 0 < total < 10_000)


async def test_what_is_no_number_or_no_text() -> None:
    """Any type of number counts as one, a label is what its text is; else it fails in words."""

    def odd() -> None:
        numbers: Any = (True, 7.5, Decimal("7.5"), Fraction(15, 2))
        for number in track(numbers, Path("folder"), total=Decimal("4.5")):  # type: ignore[arg-type]
            report(number, "A part")

    def wrong() -> None:
        list(track([1], total=[]))  # type: ignore[arg-type]

    assert (await shown(odd))[-1][1] == "folder: 4 of 4.5"
    assert (await end_of(wrong)).message == "The total has to be a number, not list"


async def test_closed_loops_are_passed_over() -> None:
    """What a loop leaves in the context when it ends, in whatever order, takes no part any more."""

    async def work() -> None:
        outer = track(range(2), "Outer")
        next(outer)
        inner = track(range(2), "Inner")
        next(inner)
        await turn()
        outer.close()  # type: ignore[attr-defined]
        next(inner)
        await turn()
        inner.close()  # type: ignore[attr-defined]
        report(60, "Of the whole")
        await turn()
        for _ in track(range(4), "Next"):
            await turn()
            break

    assert await shown(work) == [
        (0, "Inner: 0 of 2", [count("Outer", 0, 2), count("Inner", 0, 2)]),
        (50, "Inner: 1 of 2", [count("Inner", 1, 2)]),
        (60, "Of the whole", []),
        (60, "Next: 0 of 4", [count("Next", 0, 4)]),
    ]


async def test_an_update_is_of_the_whole() -> None:
    """What a generator yields in a loop is not divided; without a percentage it leaves the bar as it is."""

    async def work() -> AsyncIterator[Update]:
        for number in track(range(2), "Items"):
            if number:
                yield Update(70, "Of the whole")
                yield Update(None, "Words alone")
        yield Update(80, "After it")

    first, last = [count("Items", 1, 2)], [count("Items", 2, 2)]
    assert await shown(work) == [
        (50, "Items: 1 of 2", first),
        (70, "Of the whole", first),
        (70, "Words alone", first),
        (99, "Items: 2 of 2", last),
        (99, "After it", []),
    ]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_bad_end_shows_where_it_stopped(cancelled: bool) -> None:
    """The steps of the last snapshot are those that were counted."""
    tasks = TaskStream()

    @tasks.work
    async def work() -> None:
        for _ in track(range(4), "Files"):
            for page in track(range(5), "Pages"):
                if page == 3:
                    if cancelled:
                        await asyncio.Event().wait()
                    raise WorkError("A bad page")

    async with tasks:
        task_id = (await tasks.start(work)).task_id
        async for event in tasks.follow(task_id):
            if event.snapshot and event.snapshot.steps and cancelled:
                await tasks.cancel(task_id)
        last = await tasks.get(task_id)
    assert (last.progress, last.steps) == (15, [count("Files", 0, 4), count("Pages", 3, 5)])


async def test_side_by_side() -> None:
    """Of inner loops at the same time, the furthest counts, also of those in threads of a pool."""

    async def download(name: str, chunks: int) -> None:
        for number in track(range(10), name):
            if number == chunks:
                break

    async def gathered() -> None:
        for _ in track(range(2), "Files"):
            await asyncio.gather(download("a", 8), download("b", 3))
            await turn()
            break

    async def pooled() -> None:
        context = copy_context()  # of before the loop
        for _ in track(range(2), "Files"):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(context.run, asyncio.run, download("a", 6)).result()
            await turn()
            break

    async def reported() -> None:
        for _ in track(range(2), "Files"):
            await download("a", 8)
            report(10, "Less than the loop")
            await turn()
            break

    assert (await shown(reported))[-1] == (40, "Less than the loop", [count("Files", 0, 2)])
    assert (await shown(gathered))[-1] == (40, "b: 3 of 10", [count("Files", 0, 2), count("b", 3, 10)])
    assert (await shown(pooled))[-1] == (30, "a: 6 of 10", [count("Files", 0, 2), count("a", 6, 10)])


def test_snapshots_of_other_versions() -> None:
    """A field that isn't known is ignored, and one that is missing has a default."""
    snapshot = Snapshot.from_json(b'{"task_id":"1","name":"a","status":"STARTED","later":5}')
    assert (snapshot.steps, snapshot.progress, snapshot.data) == ([], 0, None)
