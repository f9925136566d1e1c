// How an element looks. A constructed sheet, since strict policies forbid <style>; one for each document.

const CSS = `
:host {
  display: block;
  margin-block: 0.5rem; /* or the borders of several would touch */
  font-size: 1rem;
  line-height: 1.5;
}

:host([hidden]) { display: none; }

* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }

.card {
  /* Not on the host, where a page gives the public ones values of its own, under whatever names. */
  --_accent: var(--task-progress-accent, light-dark(#2b59c3, #7fa5f8));
  --_success: var(--task-progress-success, light-dark(#1b7a4b, #5cc48d));
  --_failure: var(--task-progress-failure, light-dark(#bb2d28, #f0837c));
  --_cancelled: var(--task-progress-cancelled, light-dark(#8a5a00, #dfae57));
  --_text: var(--task-progress-text, light-dark(#1b222d, #e4e8ee));
  --_muted: var(--task-progress-muted, light-dark(#5a6575, #98a4b5));
  --_line: var(--task-progress-line, light-dark(#dde1e8, #2c343f));
  --_tone: var(--_muted);
  contain-intrinsic-block-size: auto 7.5rem; /* as large as it was when it was rendered */
  display: grid;
  grid-template-columns: minmax(0, 1fr); /* a long word must not widen it */
  gap: 0.5rem;
  padding: var(--task-progress-padding, 0.875rem 1.125rem);
  border: 1px solid var(--_line);
  border-radius: var(--task-progress-radius, 0.625rem);
  background: var(--task-progress-background, light-dark(#ffffff, #181d25));
  color: var(--_text);
}

:host([status="STARTED"]) .card, :host([status="PROGRESS"]) .card { --_tone: var(--_accent); }
:host([status="SUCCESS"]) .card { --_tone: var(--_success); }
:host([status="FAILURE"]) .card { --_tone: var(--_failure); }
:host([status="REVOKED"]) .card { --_tone: var(--_cancelled); }

.card.away { content-visibility: auto; } /* of hundreds one sees a few; on those in sight it would flicker */

.header, .details, .footer {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  gap: 0.5rem 0.75rem;
}

.header { flex-wrap: nowrap; align-items: baseline; }
.name { flex: 1; min-width: 0; font-weight: 600; overflow-wrap: anywhere; unicode-bidi: isolate; }

.badge {
  padding: 0.0625rem 0.5rem;
  border: 1px solid color-mix(in srgb, var(--_tone) 35%, transparent);
  border-radius: 1rem;
  background: color-mix(in srgb, var(--_tone) 9%, transparent);
  color: var(--_tone);
  font-size: 0.75rem;
  font-weight: 600;
}

.badge:empty, .output:empty, .problem:empty { display: none; }

.track { display: flex; align-items: center; gap: 0.75rem; }

.bar {
  flex: 1;
  min-width: 0;
  height: 0.5rem;
  overflow: hidden;
  border-radius: 0.25rem;
  background: color-mix(in srgb, var(--_muted) 18%, transparent);
}

.fill {
  block-size: 100%;
  background: var(--_tone);
  scale: 0 1; /* a length would be laid out in each frame of the transition */
  transform-origin: left;
  transition: scale 0.25s ease-out;
}

.fill:dir(rtl) { transform-origin: right; }

.moving .fill {
  inline-size: 30%;
  scale: none !important; /* which script sets */
  transition: none;
  animation: move 1.6s ease-in-out infinite alternate;
}

.moving .fill:dir(rtl) { animation-name: move-back; }
@keyframes move { to { translate: 233.3% 0; } }
@keyframes move-back { to { translate: -233.3% 0; } }

.percent, .time { font-variant-numeric: tabular-nums; unicode-bidi: plaintext; white-space: nowrap; }
.percent { min-width: 3rem; min-block-size: 1.5em; font-size: 0.875rem; text-align: end; }
.steps { color: var(--_muted); font-size: 0.875rem; overflow-wrap: anywhere; }
.details { font-size: 0.875rem; min-block-size: 1.5em; }
.message { min-width: 0; overflow-wrap: anywhere; }
.message:empty { display: none; }
.result { min-width: 0; padding-block: 0; } /* it stands where the message was: nothing moves */
:host([status="FAILURE"]) .message { color: var(--_failure); }
.time { margin-inline-start: auto; color: var(--_muted); }
.problem { color: var(--_failure); font-size: 0.875rem; overflow-wrap: anywhere; }
.problem[data-state="polling"] { color: var(--_muted); }

pre {
  max-height: 10rem;
  padding: 0.5rem 0.75rem;
  overflow: auto;
  border-radius: 0.375rem;
  background: color-mix(in srgb, var(--_muted) 9%, transparent);
  font-family: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace;
  font-size: 0.8125rem;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}

.output { overflow-anchor: none; unicode-bidi: plaintext; }
.line-end { display: block; white-space: normal; } /* between two blocks: nothing to see */
.note { display: block; color: var(--_muted); font-style: italic; }

.footer { justify-content: flex-end; }

.cancel {
  height: 1.875rem;
  min-width: 4.5rem;
  padding: 0 0.625rem;
  border: 1px solid var(--_line);
  border-radius: 0.375rem;
  background: transparent;
  color: var(--_muted);
  font: inherit;
  font-size: 0.8125rem;
  cursor: pointer;
}

.cancel:hover { border-color: var(--_muted); color: var(--_text); }
.cancel[aria-disabled="true"] { opacity: 0.5; cursor: default; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }

.announcement {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
}

@media (pointer: coarse), (max-width: 44rem) {
  .cancel { height: 2.75rem; } /* 44 px, for a thumb */
}

@media (prefers-reduced-motion: reduce) {
  .fill { transition: none; }
  .moving .fill { inline-size: 100%; opacity: 0.5; animation: none; }
}

@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .fill { background: Highlight; forced-color-adjust: none; }
}
`;

/** @type {WeakMap<Document, CSSStyleSheet>} */
const sheets = new WeakMap();

/**
 * The sheets for a document, which takes those only that were made for it; none for one that is not shown.
 * @param {Document} document
 */
export function stylesIn(document) {
  if (!document.defaultView) return [];
  const sheet = sheets.get(document) ?? new document.defaultView.CSSStyleSheet();
  if (!sheets.has(document)) sheet.replaceSync(CSS);
  sheets.set(document, sheet);
  return [sheet];
}
