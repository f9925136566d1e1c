"""The modules are typed by their JSDoc, and TypeScript finds these types in the `.d.ts` beside them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.backends import require
from tests.support.node import STATIC

pytestmark = pytest.mark.slow

DECLARED = [
    f"{module}.d.ts"
    for module in (
        *("task-progress", "task-source", "use-task"),
        *("source/errors", "source/events", "source/requests", "source/snapshot"),  # which those name
    )
]
"""Made from the JSDoc; what TypeScript can't be told by it, element/tag.d.ts says."""

OPTIONS = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
    "types": [],
}
OF_VITE = {
    **OPTIONS,
    "allowImportingTsExtensions": True,
    "erasableSyntaxOnly": True,
    "jsx": "react-jsx",
    "lib": ["es2022", "dom", "dom.iterable"],
    "moduleDetection": "force",
    "noEmit": True,
    "noFallthroughCasesInSwitch": True,
    "noUncheckedSideEffectImports": True,
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "verbatimModuleSyntax": True,
}
"""Those of its template react-ts, but for `skipLibCheck`: here the `.d.ts` are checked as well."""

WITHOUT_REACT = """
import "./taskstream/task-progress.js";
import { TaskSource, TaskSourceError } from "./taskstream/task-source.js";

const element = document.querySelector("task-progress")!;
element.headers = async ({ renew }) => ({ Authorization: renew ? "new" : "old" });
element.src = null;
element.addEventListener("progress", ({ detail }) => detail.progress satisfies number);
element.addEventListener("end", (event) => event.detail?.status === "SUCCESS");
element.addEventListener("error", ({ detail }) => detail.code === "not-found");
element.addEventListener("click", ({ clientX }) => clientX);
// @ts-expect-error: a snapshot has no such thing
element.addEventListener("progress", ({ detail }) => detail.percent);

const source = new TaskSource(["/tasks/1", new URL("https://x/tasks/2")], { credentials: "include" });
source.addEventListener("lost", ({ detail: { from, to } }) => to - from);
source.addEventListener("error", ({ detail }) => detail instanceof TaskSourceError);
for await (const { progress, data } of source) {
  progress satisfies number;
  // @ts-expect-error: it may be anything
  data.rows;
}
// @ts-expect-error: no such option
new TaskSource("/tasks/1", { header: {} });
"""

WITH_REACT = """
import "./taskstream/task-progress.js";
import { useRef } from "react";
import type { TaskProgress } from "./taskstream/task-progress.js";
import { useTask } from "./taskstream/use-task.js";

export function Tasks({ url }: { url: string | null }) {
  const element = useRef<TaskProgress>(null);
  const { snapshot, state, error, cancel } = useTask(url, { output: true });
  if (error) return <p>{error.message}</p>;
  return (
    <>
      <task-progress src={url} output headers={{ Token: "x" }} ref={element} className="wide"
        onend={({ detail }) => detail?.data} onerror={({ detail }) => detail.taskId} />
      <button onClick={() => cancel().then(({ status }) => status)}>{snapshot?.message ?? state}</button>
      {/* @ts-expect-error: an address is text */}
      <task-progress src={1} />
      {/* @ts-expect-error: React would not listen to this one */}
      <task-progress onProgress={() => undefined} />
    </>
  );
}
"""


def compile_types(folder: Path, node_modules: Path, options: dict[str, object], *files: str) -> None:
    """Run TypeScript over these files. Fails with what it says."""
    settings = {"compilerOptions": options, "include": files}
    (folder / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    compiler = node_modules / "typescript" / "bin" / "tsc"
    command = [require("node"), str(compiler), "--project", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_types(tmp_path: Path, node_modules: Path) -> None:
    """The JSDoc is right, strictly, and the `.d.ts` say what it says."""
    copied = shutil.copytree(STATIC, tmp_path / "taskstream")
    for name in DECLARED:
        (copied / name).unlink(missing_ok=True)
    (tmp_path / "node_modules").symlink_to(node_modules)
    declare = {"allowJs": True, "checkJs": True, "declaration": True, "emitDeclarationOnly": True}
    compile_types(tmp_path, node_modules, {**OPTIONS, **declare}, "taskstream/**/*.js")
    made = {name: (copied / name).read_bytes() for name in DECLARED}
    there = {name: (STATIC / name).read_bytes() for name in DECLARED if (STATIC / name).exists()}
    renew = f"cd {copied} && cp --parents {' '.join(DECLARED)} {STATIC}"
    assert made == there, f"The types are not those of the JSDoc any more; for new ones, run: {renew}"


@pytest.mark.parametrize(("name", "text"), [("main.ts", WITHOUT_REACT), ("tasks.tsx", WITH_REACT)])
def test_an_application(tmp_path: Path, node_modules: Path, name: str, text: str) -> None:
    """One in TypeScript needs nothing but a copy of the modules; what is wrong in it is found."""
    shutil.copytree(STATIC, tmp_path / "taskstream", ignore=shutil.ignore_patterns("page*", "index.html"))
    if name.endswith(".tsx"):
        (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / name).write_text(text, encoding="utf-8")
    compile_types(tmp_path, node_modules, OF_VITE, name)
