import { useEffect, useState } from "react";

const STEPS = ["Login", "Scraping", "Analyzing"];

interface Progress {
  step: string;
  message: string;
  progress: number;
  data: { quote?: string };
}

/** Triggers the scraping with this id, unless that has been done, and shows it step by step. */
export function ScrapingProgress({ run }: { run: string }) {
  const [seen, setSeen] = useState<Record<string, Progress>>({});
  const [status, setStatus] = useState("Connecting …");
  const [completed, setCompleted] = useState(false);

  useEffect(() => {
    const source = new EventSource(`/api/v1/scraping/trigger/stream?run=${run}`);

    source.addEventListener("open", () => setStatus("Live"));

    source.addEventListener("progress", ({ lastEventId, data }: MessageEvent<string>) => {
      // By id: an event that comes once more changes nothing.
      setSeen((seen) => ({ ...seen, [lastEventId]: JSON.parse(data) as Progress }));
    });

    source.addEventListener("completed", ({ data }: MessageEvent<string>) => {
      source.close();
      const result = JSON.parse(data).data as { pages: number; quotes: number };
      setStatus(`Completed: ${result.quotes} quotes on ${result.pages} pages`);
      setCompleted(true);
    });

    source.addEventListener("failed", ({ data }: MessageEvent<string>) => {
      source.close();
      setStatus((JSON.parse(data) as Progress).message);
    });

    source.addEventListener("error", () => {
      const closed = source.readyState === EventSource.CLOSED;
      setStatus(closed ? "Refused: reload to try again" : "Reconnecting …");
    });

    return () => source.close();
  }, [run]);

  const progress = Object.values(seen);
  const latest = progress.at(-1);
  const reached = STEPS.indexOf(latest?.step ?? "");

  return (
    <section aria-label="Progress">
      <p role="status">{status}</p>
      <progress max={100} value={completed ? 100 : (latest?.progress ?? 0)} />
      <ol className="steps">
        {STEPS.slice(0, reached + 1).map((step, index) => (
          <li key={step} data-done={completed || index < reached}>
            {index === reached && !completed ? latest?.message : step}
          </li>
        ))}
      </ol>
      <ul className="quotes">
        {progress.map(({ data: { quote }, message }) => quote && <li key={message}>{quote}</li>)}
      </ul>
    </section>
  );
}
