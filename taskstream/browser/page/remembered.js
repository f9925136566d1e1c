// The ids of the tasks on the list, kept in localStorage: they survive a reload, and other tabs see them.

const KEY = `task-ids ${location.pathname}`; // there may be other pages on this host

/** Whether it can stand in an address: halves of characters can't. @param {unknown} stored */
const isId = (stored) => typeof stored === "string" && !/\p{Surrogate}/u.test(stored);

/** @type {string[]} */
let ids = []; // where there is no storage: until a reload

export function recall() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    ids = Array.isArray(stored) ? stored.filter(isId) : [];
  } catch {
    // Storage is blocked: these are the ids that we know of.
  }
  return ids;
}

/**
 * Remember what `change` makes of the ids, among which may be some from other tabs.
 * @param {(ids: string[]) => string[]} change
 */
export function remember(change) {
  ids = change(recall());
  try {
    localStorage.setItem(KEY, JSON.stringify(ids));
  } catch {
    // Blocked or full: a reload will forget, all else works.
  }
}

/** Call back when another tab has changed the ids. @param {() => void} callback */
export function onChange(callback) {
  addEventListener("storage", ({ key }) => {
    if (key === KEY || key === null) callback();
  });
}
