// A card shows one task: its latest snapshot, and the buttons to act on it.

/**
 * All there is to show of a task at one moment: the data of one event.
 * @typedef {{task_id: string, name: string, status: string, progress: number, message: string,
 *   data: unknown, started_at: string | null, updated_at: string}} Snapshot
 */

const ENDED = new Set(["SUCCESS", "FAILURE", "REVOKED"]);
const FORGOTTEN = "The server does not know this task: it has never existed, or was forgotten after it ended.";

/** By how much this computer's clock is ahead of the server's, in ms: no event came faster than it did. */
let clockAhead = Infinity;

export class Card {
  /** @type {Snapshot | null} */
  snapshot = null;
  /** Whether no event will follow. */
  over = false;

  constructor(id, { cancel, remove, wire }) {
    this.id = id;
    this.element = document.getElementById("card").content.cloneNode(true).firstElementChild;
    this.#find("id").textContent = id;
    this.#find("id").href = `#${id}`;
    this.#find("cancel").addEventListener("click", () => cancel(this));
    this.#find("remove").addEventListener("click", () => remove(this));
    this.#find("on-the-wire").addEventListener("click", (event) => wire(event.currentTarget));
    this.#render("", "Waiting for the server");
  }

  get name() {
    return this.snapshot?.name ?? "Task";
  }

  set problem(sentence) {
    this.#find("problem").textContent = sentence;
  }

  /** @param {Snapshot} snapshot */
  show(snapshot) {
    this.snapshot = snapshot;
    this.over = ENDED.has(snapshot.status);
    if (this.over) this.problem = "";
    clockAhead = Math.min(clockAhead, Date.now() - Date.parse(snapshot.updated_at));
    this.#render(snapshot.status, snapshot.message);
  }

  /** The server does not know the task (any more); one that was seen to end stays as it was. */
  forget() {
    if (this.over) return;
    this.over = true;
    this.#render("FORGOTTEN", FORGOTTEN);
  }

  #find(name) {
    return this.element.getElementsByClassName(name)[0];
  }

  /** As text only: a name may look like HTML. */
  #render(status, message) {
    const { progress = 0, data = null } = this.snapshot ?? {};
    this.element.dataset.status = status;
    this.#find("name").textContent = this.name;
    this.#find("badge").textContent = status;
    this.#find("message").textContent = message;
    this.#find("percent").textContent = `${progress} %`;
    this.#find("bar").value = progress;
    this.#find("bar").ariaLabel = this.name;
    this.#find("result").hidden = status !== "SUCCESS" || data === null;
    this.#find("result").textContent = typeof data === "string" ? data : json(data);
    for (const button of ["on-the-wire", "cancel", "remove"]) {
      this.#find(button).ariaLabel = `${this.#find(button).textContent}: ${this.name}`;
    }
    this.#renderButtons();
    this.showTime();
  }

  #renderButtons() {
    if (this.over && document.activeElement === this.#find("cancel")) {
      this.element.focus(); // or it would be lost; not on Remove, since another Enter may follow
    }
    this.#find("cancel").hidden = this.over;
    this.#find("remove").hidden = !this.over;
  }

  /** The time since the start and until the end, which passes without events too. */
  showTime() {
    this.#find("time").textContent = this.#time();
  }

  #time() {
    if (!this.snapshot?.started_at) return "";
    const started = Date.parse(this.snapshot.started_at);
    const updated = Date.parse(this.snapshot.updated_at);
    if (ENDED.has(this.snapshot.status)) return `took ${duration(updated - started)}`;
    if (this.over) return "";
    const elapsed = Date.now() - clockAhead - started;
    if (this.snapshot.progress === 0) return duration(elapsed);
    const total = ((updated - started) * 100) / this.snapshot.progress;
    return `${duration(elapsed)}, about ${duration(total - elapsed)} left`;
  }
}

/** On one line if it is short. */
function json(data) {
  const line = JSON.stringify(data);
  return line.length < 60 ? line : JSON.stringify(data, null, 2);
}

/** Milliseconds in words: 5 s, 2 min 05 s, 1 h 30 min. */
function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}
