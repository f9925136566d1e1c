// A server that answers as a test tells it to, and remembers what it was asked.

import { createServer } from "node:http";

/** @typedef {{ method: string, url: string, headers: object, body: string, response: import("node:http").ServerResponse }} Exchange */

export const HEARTBEAT = ": ping\n\n";

export class FakeServer {
  /** @type {Exchange[]} */
  requests = [];
  /** @type {(exchange: Exchange) => unknown} what happens to a request */
  answer = ({ response }) => response.writeHead(404).end();

  static async start() {
    const fake = new FakeServer();
    fake.server = createServer((request, response) => {
      const { method, url, headers } = request;
      const exchange = { method, url, headers, response, body: "" };
      request.on("data", (chunk) => (exchange.body += chunk));
      request.on("end", () => {
        fake.requests.push(exchange);
        fake.answer(exchange, fake.requests.length);
      });
    });
    await new Promise((resolve) => fake.server.listen(0, "127.0.0.1", resolve));
    fake.origin = `http://127.0.0.1:${fake.server.address().port}`;
    return fake;
  }

  task(id = "a") {
    return `${this.origin}/jobs/tasks/${id}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  get streams() {
    return this.requests.filter(({ url }) => /task-progress|\/stream/.test(url));
  }

  get polls() {
    return this.requests.filter(({ url }) => /\/tasks\/[^/]+$/.test(url));
  }
}

/** A snapshot. */
export function snapshot(progress, status = "PROGRESS", task_id = "a") {
  const updated_at = new Date(Date.UTC(2026, 0, 31) + 1000 * progress).toISOString();
  return { task_id, name: "Task", status, progress, message: `At ${progress}`, steps: [], data: null, started_at: null, updated_at };
}

export const success = (task_id = "a") => snapshot(100, "SUCCESS", task_id);

/** The tasks that a stream of many is asked for. @param {Exchange} exchange */
export const idsOf = ({ method, url, body }) =>
  method === "POST" ? JSON.parse(body).task_ids : new URL(url, "http://host").searchParams.getAll("task_id");

/** An event of a stream. */
export function event(data, { id, retry, type } = {}) {
  const fields = { id, retry, event: type, data: JSON.stringify(data) };
  return Object.entries(fields).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}\n`).join("") + "\n";
}

/** Begin a stream, with these events. */
export function stream(response, ...events) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.flushHeaders();
  for (const each of events) response.write(each);
  return response;
}

export function json(response, body, status = 200, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** The next event of a source for which this holds. */
export function next(source, type, holds = () => true) {
  return new Promise((resolve) => {
    const listener = ({ detail }) => {
      if (!holds(detail)) return;
      source.removeEventListener(type, listener);
      resolve(detail);
    };
    source.addEventListener(type, listener);
  });
}

export const inState = (source, state) =>
  source.state === state ? Promise.resolve() : next(source, "state", (detail) => detail.state === state);
