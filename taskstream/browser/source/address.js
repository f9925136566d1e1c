// The addresses of a task: all that is asked of it is asked below the one that is given, with its query.

/** What else the server's routes have of a task, such as the `Location` of its start. */
const OF_TASK = /\/(?:tasks|task-progress|task-status)\/([^/]+)(?:\/stream)?$/;

const AMONG_MANY = /^(.*\/)tasks\/[^/]+$/;

export class Address {
  /** @param {string} url where the task's status is */
  constructor(url) {
    try {
      const base = globalThis.document?.baseURI ?? globalThis.location?.href;
      const { protocol, origin, pathname, search } = new URL(url, base);
      if (!/^https?:$/.test(protocol)) throw new TypeError(protocol);
      this.path = origin + pathname.replace(/\/$/, "").replace(OF_TASK, "/tasks/$1");
      this.query = search;
      this.id = decodeURIComponent(this.path.slice(this.path.lastIndexOf("/") + 1));
    } catch (cause) {
      const message = `Expected the address of a task, such as /jobs/tasks/3f2a, got '${url}'.`;
      throw new TypeError(message, { cause });
    }
    const [, prefix] = AMONG_MANY.exec(this.path) ?? [];
    /** Where there may be a stream of many tasks; undefined for an address that doesn't end like `tasks/ID`. */
    this.many = prefix && `${prefix}task-progress${this.query}`;
  }

  get status() {
    return this.path + this.query;
  }

  get stream() {
    return `${this.path}/stream${this.query}`;
  }

  get cancel() {
    return `${this.path}/cancel${this.query}`;
  }
}

/** The ids that a request line has room for: nginx takes 8 KiB. */
const MAX_IN_QUERY = 100;

/**
 * What asks for a stream.
 * @typedef {{ url: string, method?: "POST", body?: string }} StreamRequest
 */

/** The request for the stream of many tasks. @type {(many: string, ids: string[]) => StreamRequest} */
export function requestForMany(many, ids) {
  if (ids.length > MAX_IN_QUERY) return { url: many, method: "POST", body: JSON.stringify({ task_ids: ids }) };
  return { url: withQuery(many, ids.map((id) => ["task_id", id])) };
}

/** The address with these parameters added. @param {string} url @param {string[][]} parameters */
export function withQuery(url, parameters) {
  return `${url}${url.includes("?") ? "&" : "?"}${new URLSearchParams(parameters)}`;
}
