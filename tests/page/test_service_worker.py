"""The page of an application whose service worker reads each answer too, as one that keeps copies does."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.browser import start_task
from tests.support.programs import OwnApp

CLONING = """
self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
self.addEventListener("fetch", (event) => event.respondWith((async () => {
  const answer = await fetch(event.request);
  answer.clone().text();
  return answer;
})()));
"""

MINE = f"""
from fastapi import Response
from tests.support.own_work import app

@app.get("/worker.js")
def worker() -> Response:
    return Response({CLONING!r}, media_type="text/javascript")
"""
LINES = [f"line {number}\n" for number in range(8)]

WATCH = """async (id) => {
  await navigator.serviceWorker.register("/worker.js");
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
  }
  window.seen = [];
  const source = new EventSource(`/task-progress/${id}`);
  source.onmessage = ({ lastEventId, data }) => {
    const { progress, status } = JSON.parse(data);
    seen.push([Number(lastEventId), progress]);
    if (status === "SUCCESS") source.close();
  };
  source.addEventListener("output", ({ lastEventId, data }) =>
    seen.push([Number(lastEventId), JSON.parse(data).text]));
  await import("/static/task-progress.js");
  document.body.innerHTML = `<task-progress src="/tasks/${id}" output></task-progress>`;
}"""


def test_a_service_worker_that_clones(page: Page, tmp_path: Path) -> None:
    """EventSource and the element get each event while the task runs, output included, in order."""
    with OwnApp(tmp_path, MINE) as server:
        page.goto(f"{server.url}/")
        page.evaluate(WATCH, start_task(server, work="speech", pieces=LINES, seconds=0.5))
        element = page.locator("task-progress")
        expect(element.locator("[part=output]")).to_contain_text("line 2\n")
        assert element.get_attribute("status") == "PROGRESS"
        expect(element).to_have_attribute("status", "SUCCESS")
        expect(element.locator("[part=output]")).to_have_text("".join(LINES))
        seen = page.evaluate("seen")
        assert [number for number, _ in seen] == list(range(1, len(seen) + 1))
        assert [text for _, text in seen if isinstance(text, str)] == LINES
