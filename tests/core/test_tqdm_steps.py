"""Bars that libraries draw with tqdm are steps of the task in which they are made."""

import asyncio
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm, trange
from tqdm.asyncio import tqdm as async_tqdm
from tqdm.contrib.concurrent import thread_map

from taskstream import Snapshot, TaskStream, track
from tests.core.running import story

AT_ONCE: Any = {"mininterval": 0, "miniters": 1}


@pytest.fixture
def nowhere() -> io.StringIO:
    """What bars are drawn on."""
    return io.StringIO()


async def run(work: Callable[..., object], *, track_tqdm: bool = True) -> list[Snapshot]:
    """All snapshots of some work, after its start."""
    return [each.snapshot for each in await story(work, track_tqdm=track_tqdm) if each.snapshot][2:]


def words(snapshots: list[Snapshot]) -> list[str]:
    """What they say but for the end, each once."""
    return list(dict.fromkeys(each.message for each in snapshots[:-1]))


async def test_nested_bars(nowhere: io.StringIO) -> None:
    """They divide the current item of one another, and that of `track`; what is drawn stays as it was."""

    async def work() -> None:
        for _ in track(range(2), "Epochs"):
            for _ in trange(2, desc="Batches", unit="batch", file=nowhere, **AT_ONCE):
                await asyncio.sleep(0)
                for _ in tqdm("abcd", disable=True, **AT_ONCE):
                    await asyncio.sleep(0)
            return

    seen = await run(work)
    assert seen[-2].progress == 50
    assert "Batches: 1 of 2 batch" in words(seen)
    epochs: Any = {"label": "Epochs", "done": 0, "total": 2}
    batches = {"label": "Batches", "done": 1, "total": 2, "unit": "batch"}
    inner = {"label": "Working", "done": 2, "total": 4}
    assert [epochs, batches, inner] in [each.steps for each in seen]
    assert "Batches: 100%|" in nowhere.getvalue()
    assert "\n\n" not in nowhere.getvalue()


async def test_bars_that_threads_and_coroutines_move() -> None:
    """A bar is bound when it is made: its threads need no context."""

    def mapped() -> int:
        return sum(thread_map(abs, range(10), desc="Mapped", disable=True, **AT_ONCE))

    async def gathered() -> None:
        await async_tqdm.gather(*(asyncio.sleep(0) for _ in range(3)), desc="Gathered", disable=True)

    def moved_elsewhere() -> None:
        with tqdm(total=5, desc="Elsewhere", disable=True, **AT_ONCE) as bar:
            thread = threading.Thread(target=bar.update, args=(4,))
            thread.start()
            thread.join()

    seen = await run(mapped)
    assert (words(seen)[-1], seen[-1].data) == ("Mapped: 10 of 10", 45)
    assert words(await run(gathered))[-1] == "Gathered: 3 of 3"
    assert words(await run(moved_elsewhere))[-1] == "Elsewhere: 4 of 5"


async def test_what_a_bar_says() -> None:
    """Bytes, other descriptions, a total that comes late, and another use of the bar."""

    async def work() -> None:
        with tqdm(unit="B", unit_scale=True, desc="model", disable=True, **AT_ONCE) as bar:
            bar.update(3_100_000)
            await asyncio.sleep(0)
            bar.total = 12_000_000
            bar.set_description("weights")
            await asyncio.sleep(0)
            bar.reset(20)
            await asyncio.sleep(0)
            bar.update(5)

    assert words(await run(work)) == [
        "model: 3.1 MB",
        "weights: 3.1 of 12 MB",
        "weights: 0 of 20 B",
        "weights: 5 of 20 B",
    ]


async def test_a_bar_that_says_nothing_new() -> None:
    """What changes but the line on the terminal is no event, and leaves the inner bar where it is."""

    async def work() -> None:
        with trange(2, desc="Outer", disable=True, **AT_ONCE) as outer:
            for _ in outer:
                for number in trange(3, desc="Inner", disable=True, **AT_ONCE):
                    await asyncio.sleep(0)
                    outer.set_postfix(number=number)
                    await asyncio.sleep(0)

    seen = [each for each in await run(work) if each.steps]
    assert words(seen)[:3] == ["Inner: 0 of 3", "Inner: 1 of 3", "Inner: 2 of 3"]


async def test_the_last_value_is_right() -> None:
    """A bar that is refreshed rarely says in the end what it has counted, also after a `break`."""

    def work() -> None:  # with what tqdm doesn't know, as a disabled bar takes that
        for number in tqdm(range(1000), None, None, True, None, mininterval=100, disable=True, colours=3):
            if number == 700:
                break

    seen = await run(work)
    assert (words(seen)[-1], seen[-2].progress) == ("Working: 700 of 1,000", 70)


async def test_the_monitor_refreshes_silent_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that tqdm's own estimate keeps from being refreshed is, after its `maxinterval`."""
    monkeypatch.setattr(tqdm, "monitor_interval", 0.05)
    monkeypatch.setattr(tqdm, "monitor", None)
    told = threading.Event()

    def work() -> None:
        with tqdm(total=10, miniters=9, maxinterval=0.1, disable=True) as bar:
            bar.update(3)
            assert told.wait(10)

    tasks = TaskStream(track_tqdm=True)
    tasks.work(work)
    async with tasks, asyncio.timeout(20):
        async for event in tasks.follow((await tasks.start(work)).task_id):
            if event.snapshot and event.snapshot.message == "Working: 3 of 10":
                told.set()
        assert told.is_set()
    if tqdm.monitor:
        tqdm.monitor.exit()  # type: ignore[no-untyped-call]


async def test_cancelling_raises_where_the_work_goes_on() -> None:
    """In `update`, in the bar's own thread: never where a bar is made, described, reset or closed."""
    begun, cancelled, ended = threading.Event(), threading.Event(), threading.Event()
    raised: list[str] = []

    def attempt(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except asyncio.CancelledError:
            raised.append(name)

    def work() -> None:
        bar = tqdm(total=9, disable=True, **AT_ONCE)
        begun.set()
        assert cancelled.wait(10)
        thread = threading.Thread(target=attempt, args=("another thread", bar.update))
        thread.start()
        thread.join()
        attempt("making", lambda: tqdm(total=9, disable=True))
        attempt("describing", lambda: bar.set_description("text"))
        attempt("resetting", bar.reset)
        attempt("update", bar.update)
        attempt("iteration", lambda: list(trange(5, disable=True, **AT_ONCE)))
        attempt("closing", bar.close)
        ended.set()

    tasks = TaskStream(track_tqdm=True)
    tasks.work(work)
    async with tasks:
        task_id = (await tasks.start(work)).task_id
        assert await asyncio.to_thread(begun.wait, 10)
        await tasks.cancel(task_id)
        cancelled.set()
        assert await asyncio.to_thread(ended.wait, 10)
    assert raised == ["update", "iteration"]


async def test_a_bar_that_cannot_be_drawn(nowhere: io.StringIO) -> None:
    """Text for a number fails its own work, and keeps tqdm's lock from nobody."""

    def work(total: str = "1000") -> None:
        with tqdm(total=total, file=nowhere, **AT_ONCE) as bar:  # type: ignore[call-overload]
            bar.update(10)

    def draw() -> None:
        list(trange(3, file=nowhere, **AT_ONCE))

    assert (await run(work))[-1].message.startswith("Unexpected TypeError")
    other = threading.Thread(target=draw, daemon=True)
    other.start()
    await asyncio.to_thread(other.join, 10)
    assert not other.is_alive()


async def test_only_in_tasks_and_only_if_asked_for(nowhere: io.StringIO) -> None:
    """Outside of a task bars are tqdm's own, and after the last `TaskStream` so is tqdm."""
    methods = (tqdm.__init__, tqdm.refresh, tqdm.close)

    def work() -> None:
        list(trange(5, disable=True, **AT_ONCE))

    assert words(await run(work, track_tqdm=False)) == []
    async with TaskStream(track_tqdm=True):
        assert words(await run(work)) != []
        assert tqdm.refresh is not methods[1]
        bar = trange(3, file=nowhere)
        assert not hasattr(bar, "taskstream_step")
        assert len(list(bar)) == 3
        assert trange(3, disable=True).disable
    assert (tqdm.__init__, tqdm.refresh, tqdm.close) == methods
    assert "3/3" in nowhere.getvalue()


@pytest.mark.slow
async def test_pandas(nowhere: io.StringIO) -> None:
    """`progress_apply` is a step."""
    pandas = pytest.importorskip("pandas")

    def square(number: int) -> int:
        time.sleep(0.001)
        return number**2

    def work() -> int:
        tqdm.pandas(desc="Squares", file=nowhere, **AT_ONCE)
        frame = pandas.DataFrame({"number": range(50)})
        return int(frame["number"].progress_apply(square).sum())

    seen = await run(work)
    assert (words(seen)[-1], seen[-1].data) == ("Squares: 50 of 50", 40_425)
    assert len(words(seen)) > 5


@pytest.mark.slow
async def test_hugging_face(tmp_path: Path) -> None:
    """Its own subclass, which is silent here, counts the bytes of a file."""
    utils = pytest.importorskip("huggingface_hub.utils")
    file = tmp_path / "model.bin"
    file.write_bytes(bytes(3_100_000))

    def work() -> int:
        size = 0
        utils.disable_progress_bars()
        try:
            with utils.tqdm_stream_file(file) as stream:
                while piece := stream.read(100_000):
                    size += len(piece)
                    time.sleep(0.01)
        finally:
            utils.enable_progress_bars()
        return size

    seen = await run(work)
    assert (words(seen)[-1], seen[-1].data) == ("model.bin: 3.1 of 3.1 MB", 3_100_000)
