// The addresses of a task: all that is asked of it is asked below the one that is given, with its query.

const AMONG_MANY = /^(.*\/)tasks\/[^/]+$/;

export class Address {
  /** @param {string} url where the task's status is */
  constructor(url) {
    const { protocol, origin, pathname, search } = new URL(
      url,
      globalThis.document?.baseURI ?? globalThis.location?.href,
    );
    if (!/^https?:$/.test(protocol)) {
      throw new TypeError(`Expected the address of a task, such as /jobs/tasks/3f2a, got '${url}'.`);
    }
    this.path = origin + pathname.replace(/\/$/, "");
    this.query = search;
    this.id = decodeURIComponent(this.path.slice(this.path.lastIndexOf("/") + 1));
    const [, prefix] = AMONG_MANY.exec(this.path) ?? [];
    /** Where there may be a stream of many tasks; undefined for an address that doesn't end like `tasks/ID`. */
    this.many = prefix && `${prefix}task-progress${search}`;
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

/** The address of the stream of many tasks, for these. @param {string} many @param {string[]} ids */
export function streamOf(many, ids) {
  const parameters = new URLSearchParams(ids.map((id) => ["task_id", id]));
  return `${many}${many.includes("?") ? "&" : "?"}${parameters}`;
}
