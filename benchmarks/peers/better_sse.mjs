// better-sse on Node's own HTTP server: a channel for each task, a session for each viewer.
// node better_sse.mjs <port> <folder in which better-sse is installed>

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";

const [port, folder] = process.argv.slice(2);
const { createChannel, createSession } = createRequire(`${folder}/`)("better-sse");
const TURN_MILLISECONDS = 1;
const channels = new Map();

// Microseconds, where Date has milliseconds: some latencies are not much longer.
const now = () => {
  const microseconds = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  const fraction = String(microseconds % 1_000_000).padStart(6, "0");
  return new Date(microseconds / 1000).toISOString().replace(/\.\d+Z$/, `.${fraction}+00:00`);
};

const snapshot = (task_id, number, events) => ({
  task_id,
  name: "emit",
  status: "PROGRESS",
  progress: Math.floor((100 * number) / events),
  message: `Event ${number} of ${events}`,
  data: null,
  started_at: now(),
  updated_at: now(),
});

const piece = (number) => `${String(number).padStart(9, "0")} `;

const emit = async (task_id, channel, { work, rate, events, delay }) => {
  await sleep(1000 * delay);
  const began = performance.now();
  let turnBegan = began;
  for (let number = 1; number <= events; number++) {
    if (rate) {
      await sleep(Math.max(0, began + (1000 * (number - 1)) / rate - performance.now()));
    } else if (performance.now() - turnBegan > TURN_MILLISECONDS) {
      await setImmediate();
      turnBegan = performance.now();
    }
    if (work === "write") {
      channel.broadcast({ text: piece(number) }, "output", { eventId: String(number) });
    } else {
      channel.broadcast(snapshot(task_id, number, events), "message", { eventId: String(number) });
    }
  }
  channels.delete(task_id);
};

const startTask = async (request, response) => {
  const body = JSON.parse((await request.toArray()).join(""));
  const task_id = randomBytes(16).toString("hex");
  const channel = createChannel();
  channels.set(task_id, channel);
  emit(task_id, channel, body);
  response.setHeader("Content-Type", "application/json").end(JSON.stringify({ task_id }));
};

const taskProgress = async (request, response) => {
  const channel = channels.get(request.url.split("/").at(-1));
  channel.register(await createSession(request, response));
};

createServer((request, response) =>
  request.method === "POST" ? startTask(request, response) : taskProgress(request, response),
).listen({ port: Number(port), host: "127.0.0.1", backlog: 2048 });
