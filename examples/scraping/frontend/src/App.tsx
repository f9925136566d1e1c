import { useState } from "react";
import { ScrapingProgress } from "./ScrapingProgress";

/** Starts runs, and remembers in the address which one it shows: a reload watches it again. */
export function App() {
  const [run, setRun] = useState(() => location.hash.slice(1));

  function start() {
    // Here and not in an effect: React runs effects twice in StrictMode, but never a click.
    const id = newRunId();
    history.replaceState(null, "", `#${id}`);
    setRun(id);
  }

  return (
    <main>
      <h1>Scraping</h1>
      <button onClick={start}>Start scraping</button>
      {run && <ScrapingProgress key={run} run={run} />}
    </main>
  );
}

/** 128 random bits: whoever knows the id may watch. (`crypto.randomUUID` is missing on plain HTTP.) */
function newRunId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
