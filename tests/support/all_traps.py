"""All traps in one server, each under its name, for those tests that do no harm to the others."""

import runpy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from tests.support.programs import ROOT

TRAPS = ROOT / "examples" / "traps"
NAMES = sorted(path.stem for path in TRAPS.glob("*.py") if path.name != "show.py")
apps: dict[str, FastAPI] = {name: runpy.run_path(str(TRAPS / f"{name}.py"))["app"] for name in NAMES}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Run those of the traps, which mounting doesn't."""
    async with AsyncExitStack() as stack:
        for each in apps.values():
            await stack.enter_async_context(each.router.lifespan_context(each))
        yield


app = FastAPI(lifespan=lifespan)
for name, each in apps.items():
    app.mount(f"/{name}", each)
