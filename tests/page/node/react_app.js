// An application in React that shows tasks by the hook; the test renders it by `show`.

import { Activity, StrictMode, createElement, startTransition, useLayoutEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { useTask } from "../../../taskstream/browser/use-task.js";

/** What each commit has shown. */
window.commits = [];

/** What the hook gives. */
function View({ snapshot, output, state, problem, error, cancel }) {
  useLayoutEffect(() => {
    commits.push([...document.querySelectorAll("b")].map((each) => each.textContent));
  });
  const text = snapshot ? `${snapshot.name} ${snapshot.status} ${snapshot.progress} ${output}` : "";
  return createElement(
    "p",
    null,
    createElement("b", null, text),
    createElement("i", null, state),
    createElement("u", null, error?.message ?? problem),
    createElement("button", { onClick: cancel }, "Cancel"),
  );
}

const Task = ({ url, options }) => View(useTask(url, options));

/** Headers by a function that is another one in each render. */
function WithNewFunction({ url }) {
  const [token, setToken] = useState("old");
  window.setToken = setToken;
  return View(useTask(url, { headers: () => ({ Token: token }) }));
}

/** The element, which is given something new in each render. */
function Element({ url }) {
  const [snapshot, setSnapshot] = useState(null);
  const [end, setEnd] = useState("");
  window.renders = (window.renders ?? 0) + 1;
  const progress = createElement("task-progress", {
    src: url,
    headers: () => ({ Token: String(snapshot?.progress) }),
    options: { muteSeconds: 30 },
    onprogress: ({ detail }) => setSnapshot(detail),
    onend: ({ detail }) => setEnd(detail.status),
  });
  return createElement("p", null, progress, createElement("b", null, end));
}

function Slow() {
  const until = performance.now() + 5;
  while (performance.now() < until);
  return null;
}

function App({ tasks, component = "Task", slow = 0, mode = "visible" }) {
  const Component = { Element, Task, WithNewFunction }[component];
  return [
    ...tasks.map((props, key) => createElement(Activity, { key, mode }, createElement(Component, props))),
    ...Array.from({ length: slow }, (_, key) => createElement(Slow, { key: `slow ${key}` })),
  ];
}

const root = createRoot(document.querySelector("main"));
window.show = (props) => startTransition(() => root.render(createElement(StrictMode, null, createElement(App, props))));
show({ tasks: [] });
