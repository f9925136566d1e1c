// Whether anybody can see the page. Outside a browser, somebody always can.

/** @type {Set<() => void>} */
const listeners = new Set();
let left = false;

/** Whether nobody looks at this page: another tab is in front, or one has gone on to another page. */
export const isHidden = () => left || (globalThis.document?.hidden ?? false);

/** Call back when that has changed, or when the network has come back. @param {() => void} listener */
export function onChange(listener) {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

function tell() {
  for (const listener of [...listeners]) listener();
}

if (globalThis.document) {
  document.addEventListener("visibilitychange", tell);
  // A page with an open connection could not be kept for the Back button.
  addEventListener("pagehide", () => {
    left = true;
    tell();
  });
  addEventListener("pageshow", () => {
    left = false;
    tell();
  });
  addEventListener("online", tell);
}
