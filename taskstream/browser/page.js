// The page: it starts tasks, and shows each by an element; all of them share one connection.

import "./task-progress.js";
import { UNREACHABLE, ask, post } from "./page/ask.js";
import { Card, addressOf } from "./page/card.js";
import { Form } from "./page/form.js";
import { OutputPane } from "./page/output-pane.js";
import { onChange, recall, remember } from "./page/remembered.js";
import { Wire } from "./page/wire.js";
import { TaskSource, hasEnded } from "./task-source.js";

const MAX_TASKS = 100; // what one connection can take
const HIDDEN_POLL_SECONDS = 15;
const LIST_SECONDS = 3;
const RETRACT_MILLISECONDS = 2000;
const LONG_MILLISECONDS = 1000; // to wait for the form
const TITLE = document.title;
const CONNECTION = {
  idle: "Nothing to watch",
  paused: "Paused",
  connecting: "Connecting…",
  live: "Live",
  polling: "Asking every 2 s",
  reconnecting: "Reconnecting…",
};

const KEPT = {
  memory: "The server keeps tasks in its memory: they are gone when it stops.",
  sqlite: "The server keeps tasks in a file: they are there when it is started again.",
  redis: "The server keeps tasks in Redis: they go on when it stops.",
};

/** @type {<T extends HTMLElement>(id: string) => T} */
const element = (id) => /** @type {any} */ (document.getElementById(id));
const connection = element("connection");
const form = new Form();
const output = new OutputPane(element("output"));
const wire = new Wire(element("wire"));

// ---- State: a card for each task, oldest first.

/** @type {Map<string, Card>} */
const cards = new Map();

/** Put a task on the list. What it is like, the stream will say. @param {string} id */
function add(id) {
  const actions = { remove: removeByHand, output: toggle(output), wire: toggle(wire), onOver: renderList };
  const card = cards.get(id) ?? new Card(id, actions);
  if (cards.has(id)) return card;
  cards.set(id, card);
  element("tasks").prepend(card.element);
  remember((ids) => [...new Set([...ids, id])]);
  const [oldest = card] = cards.values();
  if (cards.size > MAX_TASKS) remove([...cards.values()].find((each) => each.over) ?? oldest);
  renderList();
  return card;
}

/** @param {Card} card */
function remove(card) {
  if (output.card === card) output.close();
  if (wire.card === card) wire.close();
  card.element.remove();
  cards.delete(card.id);
  remember((ids) => ids.filter((id) => id !== card.id));
  if (location.hash.slice(1) === card.id) history.replaceState(null, "", location.pathname);
  renderList();
}

/** Follow what another tab has put on the list, or taken from it. */
function synchronize() {
  const ids = new Set(recall());
  for (const card of cards.values()) if (!ids.has(card.id)) remove(card);
  for (const id of ids) add(id);
}

// ---- The connection, which the elements share: how it is, and how far the tasks are that it tells of.

/** @type {TaskSource | null} */
let source = null;

/** Watch what is not over yet, for the page as a whole; called again when the list has changed. */
function follow() {
  const former = source;
  const addresses = [...cards.values()].filter((card) => !card.over).map((card) => addressOf(card.id));
  source =
    addresses.length > 0 ? new TaskSource(addresses, { hiddenPollSeconds: HIDDEN_POLL_SECONDS }) : null;
  former?.close();
  source?.addEventListener("state", renderConnection);
  source?.addEventListener("snapshot", renderTitle);
  source?.addEventListener("end", renderTitle);
  renderConnection();
  renderTitle();
}

function renderConnection() {
  const state =
    source && source.state in CONNECTION ? /** @type {keyof CONNECTION} */ (source.state) : "idle";
  if (connection.dataset.state === state) return; // or a screen reader would say it again
  connection.dataset.state = state;
  connection.textContent = CONNECTION[state];
}

/** How far the tasks are that run, for who has another tab in front. */
function renderTitle() {
  const running = source?.snapshots.filter((snapshot) => !hasEnded(snapshot)) ?? [];
  const sum = running.reduce((total, { progress }) => total + progress, 0);
  document.title = running.length > 0 ? `${Math.round(sum / running.length)} % – ${TITLE}` : TITLE;
}

function renderList() {
  element("empty").hidden = cards.size > 0;
  element("clear").hidden = ![...cards.values()].some((card) => card.over);
}

// ---- Actions: start, remove, show the output, show on the wire.

/** Read what can be started; ask again, after longer and longer, until there is an answer. */
async function offerWorks(seconds = 1) {
  let problem = "";
  try {
    const works = await ask("works");
    form.show(works);
    if (works.length === 0) problem = "There is no work that this page may start.";
  } catch (error) {
    problem = `What can be started is not known yet. ${/** @type {Error} */ (error).message}`;
    setTimeout(offerWorks, 1000 * seconds, Math.min(30, 2 * seconds));
  }
  element("works-problem").textContent = problem;
  showTasks();
}

/** Show what stands below the form, which would move if the form came later. */
function showTasks() {
  document.querySelector("main")?.classList.remove("arriving");
}

/** @param {SubmitEvent} event */
async function start(event) {
  event.preventDefault();
  if (element("start").ariaBusy === "true") return; // a double click is one task
  element("start").ariaBusy = "true";
  try {
    const snapshot = await post("start-task", form.read());
    sayStartProblem("");
    add(snapshot.task_id).show(snapshot);
    follow();
  } catch (error) {
    sayStartProblem(/** @type {Error} */ (error).message);
  } finally {
    element("start").ariaBusy = "false";
  }
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let retraction;

/** Say why no task was started. @param {string} problem */
function sayStartProblem(problem) {
  element("start-problem").textContent = problem;
  clearTimeout(retraction);
  if (problem === UNREACHABLE) retraction = setTimeout(retractUnreachable, RETRACT_MILLISECONDS);
}

/** Take back that the server can't be reached, once it can: there may be no stream that tells. */
async function retractUnreachable() {
  const isAway = await ask("works").then(
    () => false,
    ({ message }) => message === UNREACHABLE,
  );
  if (element("start-problem").textContent !== UNREACHABLE) return;
  if (!isAway) return sayStartProblem("");
  clearTimeout(retraction); // said again, an alert would be read out again
  retraction = setTimeout(retractUnreachable, RETRACT_MILLISECONDS);
}

/** Remove a card, and keep the keyboard's place in the list. @param {Card} card */
function removeByHand(card) {
  const neighbour = card.element.nextElementSibling ?? card.element.previousElementSibling;
  remove(card);
  follow();
  /** @type {HTMLElement} */ (neighbour ?? element("tasks-heading")).focus();
}

function clearOver() {
  for (const card of cards.values()) if (card.over) remove(card);
  element("tasks-heading").focus();
}

/** What opens a pane for a card, or closes it. @param {OutputPane | Wire} pane */
function toggle(pane) {
  return (/** @type {Card} */ card, /** @type {HTMLElement} */ opener) =>
    pane.card === card ? pane.close() : pane.open(card, opener);
}

/** Add the task of an address like `/#<task_id>`: one that was started in a terminal. */
function addFromAddress(address = location.href) {
  const id = new URL(address).hash.slice(1, 101);
  if (id) add(id).element.scrollIntoView({ block: "nearest" });
}

/** @type {Set<string>} */
const listed = new Set();

/** Show one's own tasks wherever they were started, once, where the server lists them. */
async function showListed() {
  /** @type {{ task_id: string }[]} */
  const tasks = document.hidden ? [] : await ask("tasks").catch(() => []);
  const fresh = tasks.map(({ task_id }) => task_id).filter((id) => !listed.has(id));
  for (const id of fresh.reverse()) add(id);
  for (const id of fresh) listed.add(id);
  if (fresh.length > 0) follow();
  setTimeout(showListed, 1000 * LIST_SECONDS);
}

/** Link to the interactive documentation, and list tasks, where the server says that there are such. */
async function readLinks() {
  const answer = await fetch("", { method: "HEAD" }).catch(() => null);
  const links = answer?.headers.get("Link") ?? "";
  if (links.includes('<tasks>; rel="collection"')) showListed();
  const [, address] = /<([^>]+)>; rel="service-doc"/.exec(links) ?? [];
  if (!address) return;
  /** @type {HTMLAnchorElement} */ (element("docs")).href = address;
  element("docs").hidden = false;
}

/** Say where tasks are kept. */
async function sayWhere() {
  const { backend } = await ask("health").catch(() => ({}));
  element("kept").textContent = KEPT[/** @type {keyof typeof KEPT} */ (backend)] ?? "";
}

// ---- Startup.

element("start").addEventListener("submit", start);
element("work").addEventListener("change", () => sayStartProblem("")); // of the work before
element("clear").addEventListener("click", clearOver);
onChange(() => {
  synchronize();
  follow();
});
addEventListener("hashchange", ({ newURL }) => {
  addFromAddress(newURL); // by now the address may have changed again
  follow();
});

synchronize();
addFromAddress();
follow();
offerWorks();
setTimeout(showTasks, LONG_MILLISECONDS);
readLinks();
sayWhere();
