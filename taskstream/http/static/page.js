// The page: it starts tasks, and watches all of them over one EventSource.

import { Card } from "./card.js";
import { post } from "./post.js";
import { onChange, recall, remember } from "./remembered.js";
import { Wire } from "./wire.js";

/** @typedef {import("./card.js").Snapshot} Snapshot */

const MAX_TASKS = 100; // the ids that the server takes in one request
const CONNECTION = {
  idle: "Nothing to watch",
  paused: "Paused",
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
};

const element = (id) => document.getElementById(id);
const form = element("start");
const connection = element("connection");

// ---- State: a card for each task, oldest first.

/** @type {Map<string, Card>} */
const cards = new Map();

/** Put a task on the list. What it is like, the stream will say. */
function add(id) {
  if (cards.has(id)) return;
  const card = new Card(id, { cancel, remove: removeByHand, wire: (opener) => wire.open(card, opener) });
  cards.set(id, card);
  element("tasks").prepend(card.element);
  remember((ids) => [...new Set([...ids, id])]);
  if (cards.size > MAX_TASKS) remove([...cards.values()].find((each) => each.over) ?? [...cards.values()][0]);
  renderList();
}

function remove(card) {
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

// ---- The stream: connect, events, reconnect.

/** @type {EventSource | null} */
let source = null;
let failures = 0;
let reopening = 0;

/** Watch what is not over yet; called again when the list changes, or whether the tab is visible. */
function connect() {
  disconnect();
  const ids = [...cards.values()].filter((card) => !card.over).map((card) => card.id);
  if (ids.length === 0) return renderConnection("idle");
  // A browser opens six connections to a host: hidden tabs must not starve the one that is looked at.
  if (document.hidden) return renderConnection("paused");
  // With a longer list, a live page stays live: it would only flicker.
  if (["idle", "paused"].includes(connection.dataset.state)) renderConnection("connecting");

  source = new EventSource(`task-progress?${new URLSearchParams(ids.map((id) => ["task_id", id]))}`);
  source.onopen = () => {
    failures = 0;
    renderConnection("live");
  };
  source.onmessage = (event) => {
    update(JSON.parse(event.data));
    stopAtEnd(event);
  };
  source.addEventListener("unknown", (event) => {
    cards.get(JSON.parse(event.data).task_id)?.forget();
    renderList();
    stopAtEnd(event);
  });
  source.onerror = () => {
    renderConnection("reconnecting");
    // After a cut EventSource connects again by itself; after a 502, 503 or 404 it has given up for good.
    if (source.readyState === EventSource.CLOSED) reopen();
  };
}

function disconnect() {
  clearTimeout(reopening);
  source?.close();
  source = null;
}

/** Connect again after 1, 2, 4 … 30 s, less up to half of it: not every page at the same moment. */
function reopen() {
  const seconds = Math.min(30, 2 ** failures++) * (1 - Math.random() / 2);
  reopening = setTimeout(connect, 1000 * seconds);
}

/** The last event of all carries the only id. Unless we close, EventSource asks again, to be told 204. */
function stopAtEnd(event) {
  if (event.lastEventId !== "end") return;
  disconnect();
  renderConnection("idle");
}

/** @param {Snapshot} snapshot */
function update(snapshot) {
  const card = cards.get(snapshot.task_id);
  if (!card || card.over) return;
  const watched = card.snapshot !== null;
  card.show(snapshot);
  if (!card.over) return;
  renderList();
  if (watched) element("announcement").textContent = `${snapshot.name}: ${snapshot.status}`;
}

// ---- Rendering what is not in a card: the connection and the list.

function renderConnection(state) {
  if (connection.dataset.state === state) return; // or a screen reader would say it again
  connection.dataset.state = state;
  connection.textContent = CONNECTION[state];
}

function renderList() {
  element("empty").hidden = cards.size > 0;
  element("clear").hidden = ![...cards.values()].some((card) => card.over);
}

// ---- Actions: start, cancel, remove.

/** What the form says, without the fields left empty: the server has defaults for them. */
function readForm() {
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const typed = ([name, value]) => [name, form.elements[name].type === "number" ? Number(value) : value];
  return Object.fromEntries(filled.map(typed));
}

async function start(event) {
  event.preventDefault();
  if (form.ariaBusy === "true") return; // a double click is one task
  form.ariaBusy = "true";
  try {
    const snapshot = await post("start-task", readForm());
    element("start-problem").textContent = "";
    add(snapshot.task_id);
    update(snapshot);
    connect();
  } catch (error) {
    element("start-problem").textContent = error.message;
  } finally {
    form.ariaBusy = "false";
  }
}

/** Ask the task to stop. That it has, the stream will say. */
async function cancel(card) {
  try {
    await post(`cancel-task/${encodeURIComponent(card.id)}`);
    card.problem = "";
  } catch (error) {
    card.problem = error.message;
  }
}

/** Remove a card, and keep the keyboard's place in the list. */
function removeByHand(card) {
  const neighbour = card.element.nextElementSibling ?? card.element.previousElementSibling;
  remove(card);
  (neighbour ?? element("tasks-heading")).focus();
}

function clearOver() {
  for (const card of cards.values()) if (card.over) remove(card);
  element("tasks-heading").focus();
}

/** Add the task of an address like `/#<task_id>`: one that was started in a terminal. */
function addFromAddress() {
  const id = location.hash.slice(1, 101);
  if (!id) return;
  add(id);
  cards.get(id).element.scrollIntoView({ block: "nearest" });
}

// ---- Startup.

const wire = new Wire();

form.addEventListener("submit", start);
element("clear").addEventListener("click", clearOver);
onChange(() => {
  synchronize();
  connect();
});
addEventListener("hashchange", () => {
  addFromAddress();
  connect();
});
document.addEventListener("visibilitychange", () => {
  connect();
  if (document.hidden) wire.pause();
  else wire.resume();
});
addEventListener("pagehide", () => {
  disconnect(); // or the page could not be kept for the Back button
  wire.pause();
});
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  connect();
  wire.resume();
});
addEventListener("online", connect);
setInterval(() => cards.forEach((card) => card.showTime()), 1000);

synchronize();
addFromAddress();
connect();
