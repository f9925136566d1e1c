"""The element as Vue, Svelte, Preact and Lit render it: its properties, its events, and no address."""

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.backends import require
from tests.support.browser import note_requests, start_task
from tests.support.host_page import open_host_page
from tests.support.node import bundle
from tests.support.programs import Server

pytestmark = pytest.mark.slow

APPLICATIONS = {
    "vue.js": """
        import { createApp, h, shallowRef } from "vue";

        const src = shallowRef(null), ended = shallowRef("");
        window.show = (url) => (src.value = url);
        const onEnd = ({ detail }) => (ended.value = detail.status);
        const progress = () => h("task-progress", { src: src.value, headers: { Token: "x" }, onEnd });
        createApp(() => [progress(), h("b", ended.value)]).mount("main");
    """,
    "svelte.js": """
        import { mount } from "svelte";
        import Component from "./component.js";

        window.show = mount(Component, { target: document.querySelector("main") }).show;
    """,
    "preact.jsx": """/** @jsxImportSource preact */
        import { render } from "preact";
        import { useState } from "preact/hooks";

        function App({ src }) {
          const [ended, setEnded] = useState("");
          const onEnd = ({ detail }) => setEnded(detail.status);
          return <><task-progress src={src} headers={{ Token: "x" }} onend={onEnd} /><b>{ended}</b></>;
        }
        window.show = (src) => render(<App src={src} />, document.querySelector("main"));
        show(null);
    """,
    "lit.js": """
        import { html, render } from "lit";

        let src = null, ended = "";
        const onEnd = ({ detail }) => update(src, detail.status);
        function update(...news) {
          [src, ended] = news;
          const progress = html`<task-progress .src=${src} .headers=${{ Token: "x" }} @end=${onEnd}>
            </task-progress>`;
          render(html`${progress}<b>${ended}</b>`, document.querySelector("main"));
        }
        window.show = (src) => update(src, ended);
        show(null);
    """,
}
SVELTE = """
    <script>
        let src = $state(null), ended = $state("");
        export function show(url) { src = url; }
    </script>
    <task-progress {src} headers={{ Token: "x" }} onend={({ detail }) => (ended = detail.status)}>
    </task-progress>
    <b>{ended}</b>
"""
COMPILE = """
    import { compile } from "svelte/compiler";

    console.log(compile(process.argv[1], { name: "Component" }).js.code);
"""


def compile_svelte(node_modules: Path) -> str:
    """The component as a script."""
    command = [require("node"), "--input-type=module", "--eval", COMPILE, SVELTE]
    done = subprocess.run(command, cwd=node_modules, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_element(server: Server, page: Page, node_modules: Path, tmp_path: Path, name: str) -> None:
    """Headers are a property; the task is shown to its end, which is told; no address is no task."""
    (tmp_path / name).write_text(APPLICATIONS[name], encoding="utf-8")
    if name == "svelte.js":
        (tmp_path / "component.js").write_text(compile_svelte(node_modules), encoding="utf-8")
    tokens = note_requests(page, "task_id=", "token")
    open_host_page(page, server, "<main></main>", bundle(node_modules, tmp_path / name))
    element = page.locator("task-progress")
    expect(element).to_contain_text("No task yet")
    page.evaluate("show", f"/tasks/{start_task(server, name='Task', seconds=0.5, steps=5)}")
    expect(element.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(page.locator("main b")).to_have_text("SUCCESS")
    assert set(tokens) == {"x"}
    page.evaluate("show(null)")
    expect(element).to_contain_text("No task yet")
    expect(element).not_to_contain_text("null")
    expect(element).to_have_js_property("src", "")
