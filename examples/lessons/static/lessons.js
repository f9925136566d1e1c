// The page of the lessons: the path on the left, the chosen lesson beside it.

import { LEGEND, Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const ACTIONS = ["cut", "add-viewer", "stop-server"];
const GONE = "The page's own server doesn't answer: is it stopped?";
const KEYS = { p: "play", c: "cut", v: "add-viewer", s: "stop-server" };

const timeline = new Timeline($("timeline"), $("pages"));
let names = [];
let current = ""; // the name of the lesson that is shown
let run = null; // { id, source } of what is being played

async function start() {
  const lessons = await fetchJson("lessons");
  if (!lessons) return;
  names = lessons.map(({ name }) => name);
  $("lessons").replaceChildren(...lessons.map(({ name, title }) => {
    const link = Object.assign(document.createElement("a"), { href: `#${name}` });
    const text = document.createElement("span");
    text.append(...marked(title));
    link.append(text);
    const item = document.createElement("li");
    item.append(link);
    return item;
  }));
  $("path").open = matchMedia("(min-width: 60rem)").matches;
  $("legend").replaceChildren(...LEGEND.map((sign) => (
    Object.assign(document.createElement("li"), { textContent: sign })
  )));
  addEventListener("hashchange", show);
  addEventListener("pagehide", end);
  addEventListener("keydown", onKey);
  $("play").addEventListener("click", play);
  for (const action of ACTIONS) $(action).addEventListener("click", () => act(action));
  $("show-bytes").addEventListener("change", () => {
    $("timeline").classList.toggle("hide-bytes", !$("show-bytes").checked);
  });
  show();
}

async function show() {
  const chosen = location.hash.slice(1);
  const name = current = names.includes(chosen) ? chosen : names[0];
  for (const link of $("lessons").querySelectorAll("a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (matchMedia("(max-width: 60rem)").matches) $("path").open = false;
  const lesson = await fetchJson(`lessons/${name}`);
  if (!lesson || name !== current) return;
  document.title = `${lesson.title} – Lessons`;
  $("title").replaceChildren(...marked(lesson.title));
  const { Question, ...sections } = lesson.sections;
  $("question").replaceChildren(...marked(Question ?? ""));
  $("sections").replaceChildren(...Object.entries(sections).flatMap(([term, text]) => {
    const dd = document.createElement("dd");
    dd.append(...marked(text));
    return [Object.assign(document.createElement("dt"), { textContent: term }), dd];
  }));
  $("code").style.setProperty("--lines", lesson.code.length);
  for (const side of ["broken", "fixed"]) showCode($(`code-${side}`), side, lesson.code);
  $("commands").replaceChildren(...Object.entries(lesson.commands).map(([purpose, command]) => {
    const item = document.createElement("li");
    item.append(...marked(`${purpose}: \`${command}\``));
    return item;
  }));
  document.body.classList.remove("arriving");
  await play();
}

/** Text in which what stands between backticks is code. */
function marked(text) {
  return text.split("`").map((part, index) => (
    index % 2 ? Object.assign(document.createElement("code"), { textContent: part }) : part
  ));
}

function showCode(pre, side, rows) {
  pre.replaceChildren(...rows.map((row) => {
    const line = document.createElement("span");
    line.textContent = row[side] ?? "";
    line.className = row[side] === null ? "filler" : row.differs ? "differs" : "";
    return line;
  }));
}

async function play() {
  await end();
  const name = current;
  timeline.clear();
  setButtons(false);
  $("status").textContent = "Starting two servers …";
  const answer = await post(`lessons/${name}/play`);
  if (!answer) return;
  const { run_id: id } = await answer.json();
  if (name !== current || run) return void post(`runs/${id}/end`); // another one was chosen meanwhile
  run = { id, source: new EventSource(`runs/${id}/stream`) };
  run.source.addEventListener("message", ({ data }) => take(JSON.parse(data)));
  run.source.addEventListener("error", () => {
    if (run?.source.readyState !== EventSource.CLOSED) return; // it connects again
    setButtons(false);
    $("status").textContent = "This run has ended: play the lesson again.";
  });
}

function take(snapshot) {
  for (const item of snapshot.status === "PROGRESS" ? snapshot.data : []) {
    if (item.moment) timeline.add(item.side, item.moment);
    if (item.open) timeline.open(item.side, item.open);
    if (item.state === "playing") {
      setButtons(true);
      $("status").textContent = "Playing …";
    }
    if (item.state === "finished") {
      timeline.markPart(item.part);
      const parted = item.part === null ? "" : `They part after ${item.part.toFixed(1)} s. `;
      $("status").textContent = `${parted}The servers run for another half minute: press the buttons.`;
    }
  }
  if (["SUCCESS", "FAILURE", "REVOKED"].includes(snapshot.status)) {
    run?.source.close();
    run = null;
    setButtons(false);
    if (snapshot.status === "FAILURE") $("status").textContent = snapshot.message;
    else $("status").textContent = $("status").textContent.replace(/The servers run.*/, "The servers are stopped.");
  }
}

async function act(action) {
  if (run) await post(`runs/${run.id}/${action}`);
}

function end() {
  if (!run) return null;
  const { id, source } = run;
  run = null;
  source.close();
  return post(`runs/${id}/end`);
}

function setButtons(enabled) {
  for (const action of ACTIONS) $(action).disabled = !enabled;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, pre")) return;
  const key = event.key.toLowerCase();
  if (KEYS[key]) $(KEYS[key]).click();
  const step = { n: 1, b: -1 }[key];
  const next = step && names[names.indexOf(current) + step];
  if (next) location.hash = next;
}

async function fetchJson(path) {
  const answer = await fetch(path).catch(() => null);
  if (answer?.ok) return answer.json();
  document.body.classList.remove("arriving");
  $("status").textContent = GONE;
  return null;
}

async function post(path) {
  const answer = await fetch(path, { method: "POST", keepalive: true }).catch(() => null);
  if (answer?.ok) return answer;
  if (answer?.status !== 404) $("status").textContent = GONE;
  return null;
}

start();
