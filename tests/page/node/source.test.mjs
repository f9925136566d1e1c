// What task-source.js promises, against a server that does to it what servers and networks do.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { TaskSource, TaskSourceError } from "../../../taskstream/browser/task-source.js";
import { FakeServer, HEARTBEAT, event, idsOf, inState, json, next, snapshot, stream, success } from "./server.mjs";

/** Milliseconds that the server has to say what the status is. */
const QUESTION = 10_000;

/** @type {FakeServer} */
let server;
/** @type {TaskSource[]} */
let sources;

beforeEach(async () => {
  server = await FakeServer.start();
  sources = [];
});
afterEach(async () => {
  for (const each of sources) each.close();
  server.stop();
  await new Promise(setTimeout); // by now their places are free
});

function watch(urls = server.task(), options = {}) {
  const source = new TaskSource(urls, { muteSeconds: 30, firstByteSeconds: 30, ...options });
  sources.push(source);
  return source;
}

/** Until the channels have looked at what is to be streamed: their timers are as long, and were set before. */
const gathered = () => new Promise((resolve) => setTimeout(resolve, 50));

const end = (source) => next(source, "end");
const error = (source) => next(source, "error");

test("snapshots come as they are told, the last one is the end, and nothing is asked again", async () => {
  server.answer = ({ response }) => stream(response, event(snapshot(10)), event(success(), { id: "end" })).end();
  const source = watch();
  const seen = [];
  source.addEventListener("snapshot", ({ detail }) => seen.push(detail.progress));
  assert.deepEqual(await end(source), success());
  await inState(source, "ended");
  assert.deepEqual(seen, [10, 100]);
  assert.deepEqual(source.snapshot, success());
  assert.equal(server.requests.length, 1);
  assert.equal(server.requests[0].url, "/jobs/task-progress?task_id=a");
});

test("async iteration yields the snapshots, up to the last", async () => {
  server.answer = ({ response }) => stream(response, event(snapshot(10)), event(success(), { id: "end" })).end();
  const seen = [];
  for await (const { progress } of watch()) seen.push(progress);
  assert.equal(seen.at(-1), 100);
});

test("leaving the loop lets go of the connection", async () => {
  const closed = new Promise((resolve) => {
    server.answer = ({ response }) => stream(response, event(snapshot(10))).on("close", resolve);
  });
  const source = watch();
  for await (const _ of source) break;
  await closed;
  assert.equal(source.state, "closed");
});

test("a loop over a source that fails throws", async () => {
  const loop = async () => {
    for await (const _ of watch());
  };
  await assert.rejects(loop, { name: "TaskSourceError", code: "not-found" });
});

test("sources with the same headers share one connection, whenever they come", async () => {
  server.answer = ({ response, url }) => {
    const ids = idsOf({ url });
    stream(response, ...ids.map((id) => event(snapshot(10, "PROGRESS", id))));
  };
  const first = [1, 2, 3].map((id) => watch(server.task(id), { headers: { Token: "x" } }));
  await Promise.all(first.map((source) => next(source, "snapshot")));
  assert.equal(server.streams.length, 1);
  const states = [];
  first[0].addEventListener("state", ({ detail }) => states.push(detail.state));
  const later = watch(server.task(4), { headers: { Token: "x" } });
  await next(later, "snapshot");
  assert.deepEqual(states, []);
  const open = server.streams.filter(({ response }) => !response.destroyed);
  assert.deepEqual(open.map(({ url }) => url), ["/jobs/task-progress?task_id=1&task_id=2&task_id=3&task_id=4"]);
  const other = watch(server.task(1), { headers: { Token: "y" } });
  await next(other, "snapshot");
  assert.equal(server.streams.filter(({ response }) => !response.destroyed).length, 2);
});

for (const problem of ["", "All 2 streams are taken."]) {
  test(`what comes before a stream has begun waits for it, as long as the server says: ${problem}`, async (context) => {
    const { setTimeout } = globalThis;
    let retry;
    const isWaiting = new Promise((resolve) => {
      context.mock.method(globalThis, "setTimeout", (callback, delay, ...details) => {
        if (delay !== 60_000) return setTimeout(callback, delay, ...details);
        retry = callback;
        resolve();
      });
      server.answer = ({ response, url }) => {
        if (!url.includes("progress")) return json(response, {});
        if (server.streams.length > 1) return stream(response, ...idsOf({ url }).map((id) => event(success(id)))).end();
        if (problem) return json(response, { detail: problem }, 503, { "Retry-After": "60" });
        retry = () => stream(response, event(snapshot(10)));
        resolve();
      };
    });
    const first = watch(server.task("a"));
    await isWaiting;
    const later = watch(server.task("b"));
    await gathered();
    await fetch(server.task()); // in which time another stream would have been asked for
    assert.equal(server.streams.length, 1);
    assert.equal(first.problem, problem);
    retry();
    await Promise.all([first, later].map(end));
    assert.deepEqual(server.streams.map(idsOf), [["a"], ["a", "b"]]);
  });
}

test("a server that was out of reach is asked again at once when a task comes", async (context) => {
  const { setTimeout } = globalThis;
  context.mock.method(globalThis, "setTimeout", (callback, delay, ...details) => {
    const isPause = details.length === 0 && delay >= 500 && delay <= 1000; // which never ends
    if (!isPause) return setTimeout(callback, delay, ...details);
  });
  server.answer = ({ response, url }, number) => {
    if (number === 1) response.destroy();
    else stream(response, ...idsOf({ url }).map((id) => event(success(id)))).end();
  };
  const first = watch(server.task("a"));
  await inState(first, "reconnecting");
  await Promise.all([first, watch(server.task("b"))].map(end));
});

test("a thousand tasks share a connection, to which their ids are sent in a body, and a hundred in the query", async () => {
  server.answer = (exchange) => stream(exchange.response, ...idsOf(exchange).map((id) => event(success(id)))).end();
  for (const [count, shares] of [[100, ["GET 100 100-0"]], [2100, ["POST 1000 2100-0", "POST 1000 2100-1000", "GET 100 2100-2000"]]]) {
    server.requests.length = 0;
    const ids = Array.from({ length: count }, (_, index) => `${count}-${index}`);
    const source = watch(ids.map((id) => server.task(id)));
    await inState(source, "ended");
    assert.deepEqual(source.snapshots.map(({ task_id }) => task_id), ids);
    const asked = server.streams.map((exchange) => `${exchange.method} ${idsOf(exchange).length} ${idsOf(exchange)[0]}`);
    assert.deepEqual(new Set(asked), new Set(shares)); // the last one may get a place while it is asked for
  }
});

test("a second source of a task begins with the snapshot that is known", async () => {
  server.answer = ({ response }) => stream(response, event(snapshot(10)));
  await next(watch(), "snapshot");
  assert.equal((await next(watch(), "snapshot")).progress, 10);
  assert.equal(server.streams.length, 1);
});

test("a stream of one's own resumes with the last id, after the time that the server asked for", async () => {
  server.answer = ({ response }, number) => {
    if (number === 1) stream(response, event(snapshot(10), { id: 7, retry: 20 }), "id: 8\ndata: {").end();
    else stream(response, event(success(), { id: 8 })).end();
  };
  const started = performance.now();
  await end(watch(server.task(), { output: true }));
  assert.ok(performance.now() - started < 900);
  assert.deepEqual(server.streams.map(({ url }) => url), ["/jobs/tasks/a/stream", "/jobs/tasks/a/stream"]);
  assert.deepEqual(server.streams.map(({ headers }) => headers["last-event-id"]), [undefined, "7"]);
});

test("another origin is sent nothing that it would have to be asked for before: no header, no JSON by its type", async (context) => {
  globalThis.origin = "https://page.example";
  context.after(() => delete globalThis.origin);
  server.answer = ({ response, method, body }, number) => {
    if (method === "POST") stream(response, ...idsOf({ method, body }).map((id) => event(success(id)))).end();
    else if (number === 1) stream(response, event(snapshot(10), { id: "né 1&2", retry: 20 })).end();
    else stream(response, event(success())).end();
  };
  await end(watch(`${server.origin}/exports/42?sig=x`));
  await inState(watch(Array.from({ length: 101 }, (_, id) => server.task(id))), "ended");
  const urls = ["/exports/42/stream?sig=x", "/exports/42/stream?sig=x&last_event_id=n%C3%A9+1%262", "/jobs/task-progress"];
  assert.deepEqual(server.requests.map(({ url }) => url), urls);
  const types = server.requests.map(({ headers }) => [headers["last-event-id"], headers["content-type"]]);
  assert.deepEqual(types, [[undefined, undefined], [undefined, undefined], [undefined, "text/plain;charset=UTF-8"]]);
});

test("output and what was lost of it are events of their own", async () => {
  server.answer = ({ response }) =>
    stream(
      response,
      event({ from: 1, to: 5 }, { type: "lost" }),
      event({ text: "Hello" }, { id: 6, type: "output" }),
      event(success(), { id: 7 }),
    ).end();
  const source = watch(server.task(), { output: true });
  const [lost, output] = await Promise.all([next(source, "lost"), next(source, "output"), end(source)]);
  assert.deepEqual([lost, output], [{ from: 1, to: 5 }, { text: "Hello" }]);
});

test("204 ends it: nothing will follow", async () => {
  server.answer = ({ response }) => response.writeHead(204).end();
  const source = watch();
  assert.equal(await end(source), null);
  await inState(source, "ended");
  assert.equal(server.requests.length, 1);
});

test("404 ends it: there is no such task", async () => {
  const source = watch();
  const { code, status, taskId, message } = await error(source);
  assert.deepEqual({ code, status, taskId }, { code: "not-found", status: 404, taskId: "a" });
  await inState(source, "failed");
  assert.equal(source.problem, message);
  assert.deepEqual(server.requests.map(({ url }) => url), ["/jobs/task-progress?task_id=a", "/jobs/tasks/a/stream"]);
});

test("an unknown task among others fails alone", async () => {
  server.answer = ({ response }) =>
    stream(response, event({ task_id: "b", detail: "Elsewhere." }, { type: "unknown" }), event(success(), { id: "end" })).end();
  const source = watch([server.task("a"), server.task("b")]);
  const [{ taskId, message }, last] = await Promise.all([error(source), end(source)]);
  assert.deepEqual([taskId, message], ["b", "Elsewhere."]);
  assert.equal(last.task_id, "a");
  await inState(source, "ended");
});

test("what the server refuses is not asked again", async () => {
  server.answer = ({ response }) => json(response, { detail: "Not yours." }, 403);
  const { code, message } = await error(watch());
  assert.deepEqual({ code, message }, { code: "refused", message: "Not yours." });
  assert.equal(server.requests.length, 1);
});

test("after a 502 it is asked again, later and later, each page at another moment", async (context) => {
  const delays = [];
  const { setTimeout } = globalThis;
  context.mock.method(globalThis, "setTimeout", (callback, delay, ...details) => {
    const isOurs = details.length === 0 && delay >= 500 && delay <= 30_000 && delay !== QUESTION; // nor of fetch
    if (isOurs) delays.push(delay);
    return setTimeout(callback, isOurs ? 1 : delay, ...details);
  });
  server.answer = ({ response, url }) => {
    if (!url.includes("progress")) json(response, snapshot(10));
    else if (server.streams.length <= 8) response.writeHead(502, { "Content-Type": "text/html" }).end("<h1>Bad");
    else stream(response, event(success())).end();
  };
  await end(watch(server.task(), { muteSeconds: 100, firstByteSeconds: 100, pollSeconds: 100 }));
  const longest = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
  assert.equal(delays.length, 8);
  delays.forEach((delay, index) => assert.ok(delay <= longest[index] && delay >= longest[index] / 2));
  assert.equal(new Set(delays.map((delay, index) => delay / longest[index])).size, 8);
});

for (const [name, path, asked] of [
  ["one of many tasks", "/jobs/tasks/a?sig=x%2Fy&sig=z", { stream: "/jobs/task-progress?sig=x%2Fy&sig=z&task_id=a" }],
  ["any other", "/exports/42/?sig=x", { stream: "/exports/42/stream?sig=x" }],
  ["one in the root", "/42#top", { stream: "/42/stream" }],
]) {
  test(`whatever the address is like, its query is in every request: ${name}`, async () => {
    const [address, query = ""] = path.replace("#top", "").split("?");
    const below = (word) => `${address.replace(/\/$/, "")}${word}${query && `?${query}`}`;
    server.answer = ({ response, method, url }) => {
      if (method === "POST") json(response, snapshot(30, "REVOKED"));
      else if (url === below("")) json(response, snapshot(server.requests.length));
    };
    const source = watch(server.origin + path, { firstByteSeconds: 0.05, pollSeconds: 0.05 });
    await next(source, "snapshot");
    await Promise.all([end(source), source.cancel()]);
    const urls = server.requests.map(({ method, url }) => `${method} ${url}`);
    assert.deepEqual([...new Set(urls)], [`GET ${asked.stream}`, `GET ${below("")}`, `POST ${below("/cancel")}`]);
  });
}

test("signed addresses don't share what is signed, the same ones share all", async () => {
  server.answer = ({ response, url }) => {
    const ids = idsOf({ url });
    stream(response, ...ids.map((id) => event(snapshot(10, "PROGRESS", id))));
  };
  const sources = ["a?sig=1", "b?sig=1", "c?sig=2"].map((id) => watch(server.task(id)));
  await Promise.all(sources.map((source) => next(source, "snapshot")));
  const asked = server.requests.map(({ url }) => url.split("?")[1]).sort();
  assert.deepEqual(asked, ["sig=1&task_id=a&task_id=b", "sig=2&task_id=c"]);
});

for (const status of [404, 405]) test(`where there is no stream of many tasks (${status}), each task has its own, which resumes, and which sources share`, async () => {
  server.answer = ({ response, url, headers }) => {
    if (url.includes("task-progress?")) return json(response, { detail: "No" }, status);
    if (headers["last-event-id"]) return stream(response, event(success(), { id: 2 })).end();
    const calledOtherwise = { ...snapshot(10), task_id: "0123" };
    stream(response, event(calledOtherwise, { id: 1, retry: 20 })).end();
  };
  const [first, second, other] = ["a", "a", "b"].map((id) => watch(server.task(id)));
  await Promise.all([first, second, other].map(end));
  assert.equal(first.snapshots.length, 1);
  const asked = server.requests.map(({ url, headers }) => `${url} ${headers["last-event-id"] ?? ""}`.trim());
  assert.deepEqual(asked.sort(), [
    "/jobs/task-progress?task_id=a&task_id=b",
    "/jobs/tasks/a/stream",
    "/jobs/tasks/a/stream 1",
    "/jobs/tasks/b/stream",
    "/jobs/tasks/b/stream 1",
  ]);
});

test("many streams leave a connection for all else: the others' tasks are asked for, until one has ended", async () => {
  server.answer = ({ response, method, url }) => {
    if (method === "POST") return json(response, snapshot(20, "REVOKED"));
    if (url.endsWith("/stream")) stream(response, event(snapshot(10), { id: 1 }));
    else json(response, snapshot(10 + server.polls.length));
  };
  const ids = [0, 1, 2, 3, 4, 5, 6, 7];
  const sources = ids.map((id) => watch(`${server.origin}/exports/${id}`, { pollSeconds: 0.05 }));
  await Promise.all(sources.map((source) => next(source, "snapshot")));
  const among = (state) => sources.filter((source) => source.state === state);
  while (among("live").length < 2) await next(among("polling")[0], "state"); // those before may still be open
  assert.equal(among("polling").length, 6);
  await among("live")[0].cancel();
  await Promise.any(among("polling").map((source) => inState(source, "live")));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(server.streams.filter(({ response }) => !response.destroyed).length, 2);
});

const ENDS_AT_ONCE = {
  "a 502": ({ response }) => response.writeHead(502).end(),
  "a connection that breaks": ({ response }) => response.destroy(),
  "a stream without an event": ({ response }) => stream(response, ": hello\n\n").end(),
  "a stream of retry: 0": ({ response }) => stream(response, event(snapshot(10), { id: 1, retry: 0 })).end(),
  "a stream of retry: 1e30": ({ response }) => stream(response, event(snapshot(10), { id: 1, retry: "9".repeat(30) })).end(),
  "no stream": ({ response }) => json(response, {}),
  ...Object.fromEntries(
    ["0", "-1", "2592000", "99999999999", "1e400", "Infinity", "soon", "Fri, 31 Dec 2049 23:59:59 GMT"].map((value) => [
      `Retry-After: ${value}`,
      ({ response }) => response.writeHead(503, { "Retry-After": value }).end(),
    ]),
  ),
};

for (const [name, answer] of Object.entries(ENDS_AT_ONCE)) {
  for (const output of [false, true]) {
    test(`it is asked once a second for long at the most, and never given up: ${name}, output: ${output}`, async (context) => {
      const delays = [];
      const { setTimeout } = globalThis;
      let answered;
      const enough = new Promise((resolve) => (answered = resolve));
      server.answer = (exchange) => {
        if (server.streams.length > 10) answered();
        if (!/progress|stream/.test(exchange.url)) return json(exchange.response, snapshot(10));
        return server.streams.length === 1
          ? stream(exchange.response, event(snapshot(10), { id: 1, retry: 0 })).end()
          : answer(exchange);
      };
      context.mock.method(globalThis, "setTimeout", (callback, delay, ...details) => {
        const isOurs = /waiting\.js/.test(new Error().stack) && delay !== QUESTION;
        if (isOurs && delay < 3_000_000) delays.push(delay);
        return setTimeout(callback, isOurs && delay < 3_000_000 ? 1 : delay, ...details);
      });
      watch(server.task(), { output, muteSeconds: 3000, firstByteSeconds: 3000, pollSeconds: 3000 });
      await enough;
      const sum = delays.reduce((total, delay) => total + delay, 0);
      assert.ok(delays.length >= 10);
      assert.ok(sum >= 1000 * delays.length, delays.join());
      assert.ok(Math.max(...delays) <= 300_000, delays.join());
    });
  }
}

test("a stream without a byte for too long is given up, heartbeats keep it", async () => {
  let timer;
  server.answer = ({ response, url }, number) => {
    if (!url.includes("progress")) return json(response, snapshot(10));
    if (number > 1) return stream(response, event(success())).end();
    stream(response, event(snapshot(10), { retry: 20 }));
    let beats = 0;
    timer = setInterval(() => ++beats <= 10 && response.write(HEARTBEAT), 100);
  };
  const source = watch(server.task(), { muteSeconds: 0.4 });
  const started = performance.now();
  await inState(source, "reconnecting");
  assert.ok(performance.now() - started > 1300);
  assert.match(source.problem, /gone silent/);
  await end(source);
  clearInterval(timer);
});

for (const [name, headers] of Object.entries({
  "an object": { Token: "x" },
  "a Headers": new Headers({ Token: "x" }),
  pairs: [["Token", "x"]],
})) {
  test(`headers are what fetch takes, or a function that gives it: ${name}`, async () => {
    server.answer = ({ response, headers: { token } }) => stream(response, event({ ...success(), message: token })).end();
    for (const each of [headers, () => headers]) assert.equal((await end(watch(server.task(), { headers: each }))).message, "x");
  });
}

for (const headers of [{ Name: "Łukasz" }, { "A name": "x" }, [["Token"]], "Token", async () => ({ Token: "x\ny" })]) {
  test(`headers that can't be sent are refused, in words: ${JSON.stringify(headers)}`, async () => {
    const { code, message } = await error(watch(server.task(), { headers }));
    assert.equal(code, "refused");
    assert.match(message, /^These headers can’t be sent: ./);
    assert.equal(server.requests.length, 0);
  });
}

test("headers that a function gives are asked for again after a 401, once", async () => {
  let token = "old";
  const renewals = [];
  const headers = async ({ renew }) => {
    renewals.push(renew);
    if (renew) token = "new";
    return { Authorization: token };
  };
  server.answer = ({ response, headers: { authorization } }) => {
    if (authorization === "new") stream(response, event(success())).end();
    else response.writeHead(401).end();
  };
  await end(watch(server.task(), { headers }));
  assert.deepEqual(renewals, [false, true]);
  assert.equal(server.requests.length, 2);
});

test("who is refused after that, too, is told so", async () => {
  server.answer = ({ response }) => response.writeHead(401).end();
  const source = watch(server.task(), { headers: async () => ({ Authorization: "bad" }) });
  assert.equal((await error(source)).code, "unauthorized");
  await inState(source, "failed");
  assert.equal(server.requests.length, 2);
  assert.equal((await error(watch(server.task(), { headers: { Authorization: "bad" } }))).code, "unauthorized");
  assert.equal(server.requests.length, 3);
});

test("headers that can't be had for a while are asked for again", async () => {
  server.answer = ({ response }) => stream(response, event(success())).end();
  let asked = 0;
  const headers = async () => {
    if (++asked === 1) throw new Error("The token server is away");
    return {};
  };
  const source = watch(server.task(), { headers });
  await inState(source, "reconnecting");
  await end(source);
});

test("headers may take long: that is no time of the request", async (context) => {
  server.answer = ({ response }) => stream(response, event(success())).end();
  const { setTimeout } = globalThis;
  let isAsking = true;
  context.mock.method(globalThis, "setTimeout", (callback, delay, ...details) =>
    setTimeout(callback, isAsking ? 1 : delay, ...details),
  );
  let give;
  const source = watch(server.task(), { headers: () => new Promise((resolve) => (give = resolve)) });
  const states = [];
  source.addEventListener("state", ({ detail }) => states.push(detail.state));
  while (!give) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 20)); // in which all time would be up
  isAsking = false;
  give({});
  await end(source);
  await inState(source, "ended");
  assert.deepEqual(states, ["live", "ended"]);
});

test("headers that never come are in nobody's way", async () => {
  server.answer = ({ response, url }) => {
    if (!url.includes("wait=")) stream(response, event(snapshot(10), { id: 1 }));
    else stream(response, event(snapshot(10), { id: 1 })).end();
  };
  const options = { output: true, pollSeconds: 0.02 };
  for (const id of [0, 1]) await next(watch(server.task(id), options), "snapshot"); // which take the places
  let isAsked;
  const asked = new Promise((resolve) => (isAsked = resolve));
  watch(server.task(2), { ...options, headers: ({ renew }) => (isAsked(renew), new Promise(() => {})) });
  await asked;
  await next(watch(server.task(3), options), "snapshot");
});

test("those who wait for their turn ask for headers when it has come", async () => {
  let token = "old";
  const headers = async ({ renew }) => ({ Token: renew ? (token = "new") : token });
  server.answer = ({ response, url, headers: { token } }) => {
    if (!url.includes("wait=")) stream(response, event(snapshot(10), { id: 1 }));
    else if (token === "old") response.writeHead(401).end();
    else stream(response, event(snapshot(10), { id: 1 })).end();
  };
  for (const id of [0, 1]) await next(watch(server.task(id), { output: true }), "snapshot"); // which take the places
  await Promise.all([2, 3, 4].map((id) => next(watch(server.task(id), { output: true, headers }), "snapshot")));
  const asked = server.requests.filter(({ url }) => url.includes("wait="));
  assert.deepEqual(asked.map(({ headers: { token } }) => token), ["old", "new", "new", "new"]);
});

test("one renewal is for all sources that have the same function", async () => {
  const refused = [];
  server.answer = ({ response, headers: { token } }) => {
    if (token) return stream(response, event(success(), { id: 1 })).end();
    refused.push(response);
    if (refused.length === 2) for (const each of refused) each.writeHead(401).end();
  };
  const renewals = [];
  const headers = ({ renew }) => (renew ? new Promise((resolve) => renewals.push(resolve)) : {});
  const ends = [1, 2].map((id) => end(watch(server.task(id), { output: true, headers })));
  while (renewals.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, 100)); // in which another one would come
  assert.equal(renewals.length, 1);
  renewals[0]({ Token: "new" });
  await Promise.all(ends);
});

test("what a snapshot leaves out has a default", async () => {
  const told = { task_id: "a", status: "STARTED", message: null, steps: null, progress: 10 };
  server.answer = ({ response }) => stream(response, event(told), event({ task_id: "a", status: "SUCCESS" })).end();
  const { updated_at, ...others } = await end(watch(server.task(), { headers: null, credentials: null }));
  const defaults = { name: "Task", progress: 100, message: "", steps: [], data: null, started_at: null };
  assert.deepEqual(others, { task_id: "a", status: "SUCCESS", ...defaults });
  assert.ok(Date.parse(updated_at));
});

test("whoever closes a source as it ends is told nothing more", async () => {
  server.answer = ({ response }) => stream(response, event(success())).end();
  const source = watch();
  source.addEventListener("snapshot", () => source.close());
  const told = [];
  for (const type of ["end", "state"]) source.addEventListener(type, ({ detail }) => told.push(detail.state));
  await inState(source, "closed");
  assert.equal(told.at(-1), "closed");
});

test("while a proxy holds all of it back the status is asked for, until something gets through", async () => {
  const held = [];
  let progress = 10;
  let open = false;
  const tell = (response) => stream(response, event(snapshot(50)), event(success()));
  server.answer = ({ response, url }) => {
    if (!url.includes("progress")) return json(response, snapshot(progress++));
    if (open) tell(response);
    else held.push(response);
  };
  const source = watch(server.task(), { firstByteSeconds: 0.2, pollSeconds: 0.05 });
  await inState(source, "polling");
  assert.match(source.problem, /proxy/);
  await next(source, "snapshot", (each) => each.progress >= 12);
  assert.ok(held[0].destroyed, "the stream that was held back is let go of");
  open = true;
  const states = [];
  source.addEventListener("state", ({ detail }) => states.push(detail.state));
  held.slice(1).forEach(tell);
  await end(source);
  await inState(source, "ended");
  assert.deepEqual(states, ["ended"]);
  await new Promise((resolve) => setTimeout(resolve, 200)); // one may have been on its way
  const { length } = server.polls;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(server.polls.length, length);
});

/** A proxy that hands over only what is finished: a stream never is, an answer with `wait` is. */
function holdBack(answer) {
  return (exchange) => {
    if (!/progress|stream/.test(exchange.url)) json(exchange.response, snapshot(10));
    else if (exchange.url.includes("wait=")) answer(exchange);
  };
}

test("a stream that is held back is asked for piece by piece, output too, and this is told", async () => {
  const texts = ["a", "b", "c"];
  server.answer = holdBack(({ response, headers }) => {
    const number = Number(headers["last-event-id"] ?? 0);
    if (number === 3) return stream(response, event(success(), { id: 4 })).end();
    stream(response, event({ text: texts[number] }, { type: "output", id: number + 1 })).end();
  });
  const source = watch(server.task(), { output: true, firstByteSeconds: 0.1, pollSeconds: 0.02 });
  const said = [];
  source.addEventListener("output", ({ detail }) => said.push(detail.text));
  await inState(source, "polling");
  assert.match(source.problem, /proxy/);
  await end(source);
  assert.deepEqual(said, texts);
  assert.deepEqual(server.streams.map(({ url }) => url.split("/a/")[1]), ["stream", ...Array(4).fill("stream?wait=10")]);
  assert.ok(server.streams[0].response.destroyed, "the stream that was held back is let go of");
});

test("many tasks whose stream is held back are asked for together", async () => {
  let progress = 10;
  server.answer = holdBack((exchange) => {
    progress += 30;
    stream(exchange.response, ...idsOf(exchange).map((id) => event(progress < 100 ? snapshot(progress, "PROGRESS", id) : success(id)))).end();
  });
  const source = watch(["a", "b"].map(server.task, server), { firstByteSeconds: 0.1, pollSeconds: 0.02 });
  await inState(source, "ended");
  assert.deepEqual(source.snapshots.map(({ status }) => status), ["SUCCESS", "SUCCESS"]);
  assert.equal(server.streams.at(-1).url, "/jobs/task-progress?task_id=a&task_id=b&wait=10");
});

test("an answer without an event is no trouble; now and then a stream is tried, and kept when it gets through", async () => {
  let open = false;
  const piecewise = holdBack(({ response }) => stream(response).end());
  server.answer = (exchange) => {
    if (open && exchange.url.endsWith("stream")) stream(exchange.response, event({ text: "All" }, { type: "output", id: 1 }));
    else piecewise(exchange);
  };
  const source = watch(server.task(), { output: true, firstByteSeconds: 0.1, pollSeconds: 0.02 });
  await inState(source, "polling");
  const states = [];
  source.addEventListener("state", ({ detail }) => states.push(detail.state));
  while (server.streams.length < 20) await new Promise((resolve) => setTimeout(resolve, 20)); // one stream among them
  open = true;
  await inState(source, "live");
  assert.equal(source.problem, "");
  assert.deepEqual(states, ["live"]);
});

test("a stream that resumes is held back, too, when nothing follows its head", async () => {
  server.answer = ({ response, url, headers }) => {
    if (!url.includes("stream")) return json(response, snapshot(10));
    if (!headers["last-event-id"]) return stream(response, event(snapshot(10), { id: 1, retry: 20 })).end();
    if (url.includes("wait")) stream(response, event(success(), { id: 2 })).end();
    else stream(response);
  };
  await end(watch(server.task(), { output: true, firstByteSeconds: 0.1, pollSeconds: 0.02 }));
});

test("output that finds no place for a stream is asked for, by all of them over one connection", async () => {
  const open = [];
  server.answer = ({ response, url }) => {
    if (!url.includes("wait=")) return stream(response, event({ text: "Streamed" }, { type: "output", id: 1 }));
    open.push(response);
    assert.equal(open.filter(({ writableEnded }) => !writableEnded).length, 1);
    setTimeout(() => stream(response, event({ text: "Asked" }, { type: "output", id: 1 })).end(), 20);
  };
  const sources = [0, 1, 2, 3, 4].map((id) => watch(server.task(id), { output: true, pollSeconds: 0.02 }));
  const said = await Promise.all(sources.map((source) => next(source, "output")));
  assert.deepEqual(said.map(({ text }) => text), ["Streamed", "Streamed", "Asked", "Asked", "Asked"]);
  assert.deepEqual(sources.map(({ state, problem }) => state + problem), ["live", "live", ...Array(3).fill("polling")]);
  sources[0].close();
  await Promise.any(sources.slice(2).map((source) => inState(source, "live")));
});

test("a server that is out of reach is told of where there is no place for a stream, too", async () => {
  let isAway = true;
  server.answer = ({ response, url }) => {
    if (!url.includes("wait=")) stream(response, event(snapshot(10), { id: 1 }));
    else if (isAway) response.destroy();
    else stream(response).end();
  };
  for (const id of [1, 2]) await next(watch(server.task(id), { output: true }), "snapshot"); // which take the places
  const source = watch(server.task(3), { output: true });
  await inState(source, "reconnecting");
  assert.equal(source.problem, "The server can’t be reached.");
  isAway = false;
  await inState(source, "polling");
  assert.equal(source.problem, "");
});

test("a stream that doesn't know `wait` and goes on is asked for again all the same", async () => {
  server.answer = ({ response, url, headers }) => {
    if (!url.includes("stream")) return json(response, snapshot(10));
    if (!url.includes("wait=0")) return stream(response, event(snapshot(10), { id: 1 }));
    const id = Number(headers["last-event-id"] ?? 0) + 1;
    stream(response, event(id < 3 ? { text: "Asked" } : success(), { type: id < 3 ? "output" : undefined, id }));
  };
  for (const id of [1, 2]) watch(server.task(id), { output: true });
  await end(watch(server.task(3), { output: true, firstByteSeconds: 0.1, pollSeconds: 0.02 }));
});

test("a status is asked for again, whatever a gateway has answered before", async () => {
  const bodies = ["null", '"OK"', "7", "", "<h1>Sign in</h1>", JSON.stringify(success())];
  server.answer = ({ response, url }) => url.includes("progress") || response.end(bodies.shift());
  const source = watch(server.task(), { firstByteSeconds: 0.1, pollSeconds: 0.01 });
  assert.deepEqual(await end(source), success());
});

test("a task that leaves while others are asked for is not asked for", async () => {
  const [source, leaving] = ["a", "b"].map((id) => watch(server.task(id), { firstByteSeconds: 0.02, pollSeconds: 0.02 }));
  server.answer = async ({ response, url }) => {
    if (url.includes("progress")) return;
    leaving.close();
    await gathered();
    json(response, snapshot(10 + server.polls.length));
  };
  const states = [];
  source.addEventListener("state", ({ detail }) => states.push(detail.state));
  await next(source, "snapshot", ({ progress }) => progress > 12);
  assert.deepEqual(states, ["reconnecting", "polling"]);
  assert.ok(server.polls.every(({ url }) => url === "/jobs/tasks/a"));
});

for (const seconds of [Infinity, 1e7]) {
  test(`${seconds} seconds are never over`, async () => {
    server.answer = ({ response, url }) => {
      if (url === "/jobs/task-progress?task_id=live") stream(response, event(snapshot(10, "PROGRESS", "live")));
      else if (!url.includes("progress")) json(response, snapshot(server.polls.length));
      else if (url.includes("wait=")) stream(response, event(snapshot(server.requests.length, "PROGRESS", "other"))).end();
    };
    const live = watch(server.task("live"), { muteSeconds: seconds });
    await next(watch(server.task(), { firstByteSeconds: 0.02, pollSeconds: seconds }), "snapshot");
    const other = watch(server.task("other"), { pollSeconds: 0.02 }); // which has no place for a stream
    await next(other, "snapshot", ({ progress }) => progress > 20);
    assert.equal(live.state, "live");
    assert.equal(server.polls.length, 1);
  });
}

test("output that a proxy held back is read at the end", async () => {
  server.answer = ({ response, url }, number) => {
    if (url.endsWith("/tasks/a")) return json(response, success());
    if (number > 1) stream(response, event({ text: "All" }, { type: "output", id: 1 }), event(success(), { id: 2 })).end();
  };
  const source = watch(server.task(), { output: true, firstByteSeconds: 0.1 });
  const [output] = await Promise.all([next(source, "output"), end(source)]);
  assert.deepEqual(output, { text: "All" });
});

for (const [before, output] of [[0, false], [1000, false], [0, true]]) {
  test(`the end is told while the page is hidden, if somebody wants that: ${before} before, output: ${output}`, async (context) => {
    globalThis.document = { hidden: true };
    context.after(() => delete globalThis.document);
    server.answer = ({ response, url }) => {
      if (url.includes("stream")) stream(response, event({ text: "All" }, { type: "output" }), event(success())).end();
      else json(response, success(url.at(-1)));
    };
    await inState(watch(server.task("b"), { hiddenPollSeconds: before }), "paused");
    const source = watch(server.task(), { output, hiddenPollSeconds: 0.02 });
    const told = [];
    for (const type of ["output", "end"]) source.addEventListener(type, () => told.push(type));
    await inState(source, "ended");
    assert.deepEqual(told, output ? ["output", "end"] : ["end"]);
  });
}

test("nothing goes back: neither by an old answer nor by a server that lags behind", async () => {
  server.answer = ({ response }, number) => {
    if (number === 1) stream(response, event(snapshot(50), { retry: 20 })).end();
    else stream(response, event(snapshot(40)), event(snapshot(50)), event(snapshot(60)), event(success())).end();
  };
  const seen = [];
  const source = watch();
  source.addEventListener("snapshot", ({ detail }) => seen.push(detail.progress));
  await end(source);
  assert.deepEqual(seen, [50, 60, 100]);
});

test("a server that gives no times, and repeats itself, tells nothing new", async () => {
  const undated = { ...snapshot(10), updated_at: undefined };
  server.answer = ({ response }, number) => {
    if (number < 3) return stream(response, event(undated, { retry: 20 })).end();
    stream(response, event({ ...undated, message: "Other words" }), event(success())).end();
  };
  const seen = [];
  const source = watch();
  source.addEventListener("snapshot", ({ detail }) => seen.push(detail.message));
  await end(source);
  assert.deepEqual(seen, ["At 10", "Other words", "At 100"]);
});

const LATER = "2026-01-31T12:00:05Z";

for (const [name, before, after, isShown] of [
  ["more progress, by a clock that was set back", {}, { progress: 20, updated_at: "2026-01-31T11:00:00Z" }, true],
  ["more progress, at no time", {}, { progress: 20, updated_at: undefined }, true],
  ["a later status, by a clock that was set back", { status: "STARTED" }, { updated_at: "2026-01-31T11:00:00Z" }, true],
  ["an earlier status, later", {}, { status: "STARTED", updated_at: "2026-01-31T12:00:06Z" }, false],
  ["less progress, later", {}, { progress: 5, updated_at: "2026-01-31T12:00:06Z" }, false],
  ["other words, later", {}, { updated_at: "2026-01-31T12:00:06Z" }, true],
  ["other words, in the same second", {}, {}, true],
  ["other words, of a server that lags behind", {}, { updated_at: "2026-01-31T12:00:04Z" }, false],
  ["other words, by a clock that was set back", {}, { updated_at: "2026-01-31T11:00:00Z" }, true],
]) {
  test(`while the status is asked for, ${name}: ${isShown ? "shown" : "not shown"}`, async () => {
    const snapshots = [{ ...snapshot(10), updated_at: LATER, ...before }, { ...snapshot(10), updated_at: LATER, message: "After", ...after }];
    server.answer = ({ response, url }) => {
      if (url.includes("progress")) return;
      json(response, server.polls.length <= 2 ? snapshots[server.polls.length - 1] : success());
    };
    const source = watch(server.task(), { firstByteSeconds: 0.02, pollSeconds: 0.02 });
    const seen = [];
    source.addEventListener("snapshot", ({ detail }) => seen.push(detail.message));
    assert.deepEqual(await end(source), success());
    assert.equal(seen.includes("After"), isShown);
  });
}

for (const [type, isStream] of [
  ["text/event-stream, text/event-stream", true],
  ["text/html, Text/Event-Stream; charset=utf-8", true],
  ["text/event-stream, */*, nonsense", true],
  ['text/html; a="b, c", text/event-stream', true],
  ['text/event-stream; a="b, text/html"', true],
  ["text/event-stream, text/html", false],
  ["text/event-streams", false],
  ["", false],
]) {
  test(`a content type is what fetch makes of it: ${type}`, async () => {
    server.answer = ({ response, url }) => {
      if (!url.includes("progress")) return json(response, snapshot(10));
      response.writeHead(200, { "Content-Type": type }).end(event(success()));
    };
    const source = watch();
    if (isStream) return end(source);
    assert.match((await next(source, "state", ({ state }) => state === "reconnecting")).problem, /no stream/);
  });
}

test("an abort signal closes it, also one that has been aborted before", async () => {
  const controller = new AbortController();
  const closed = new Promise((resolve) => {
    server.answer = ({ response }) => stream(response, event(snapshot(10))).on("close", resolve);
  });
  const source = watch(server.task(), { signal: controller.signal });
  await inState(source, "live");
  controller.abort();
  await closed;
  assert.equal(source.state, "closed");
  assert.equal(watch(server.task(), { signal: controller.signal }).state, "closed");
});

test("a source that comes as another goes takes over its connection", async () => {
  server.answer = ({ response }) => stream(response, event(snapshot(10)));
  const first = watch();
  await inState(first, "live");
  first.close();
  await next(watch(), "snapshot");
  assert.equal(server.streams.length, 1);
});

for (const status of [204, 502]) {
  test(`a source that comes as another goes is asked for, whatever becomes of what was asked for before: ${status}`, async () => {
    const asked = new Promise((resolve) => {
      server.answer = (exchange, number) => {
        if (number === 1) resolve(exchange.response);
        else stream(exchange.response, ...idsOf(exchange).map((id) => event(success(id)))).end();
      };
    });
    const first = watch(server.task("a"));
    const response = await asked;
    const last = end(watch(server.task("b")));
    first.close();
    await gathered();
    response.writeHead(status).end();
    assert.deepEqual(await last, success("b"));
  });
}

test("a task that has ended and left can be watched again while others run", async () => {
  server.answer = ({ response, url }) => {
    const ids = idsOf({ url });
    stream(response, ...ids.map((id) => event(id === "a" ? success("a") : snapshot(10, "PROGRESS", id))));
  };
  const running = watch(server.task("b"));
  await end(watch(server.task("a")));
  await next(watch(server.task("c")), "snapshot"); // by now it has been let go of
  assert.deepEqual(await end(watch(server.task("a"))), success("a"));
  assert.equal(running.state, "live");
});

test("cancelling answers the snapshot, or throws what is wrong", async () => {
  const pending = snapshot(0, "PENDING");
  const answers = [[{}], [undefined], [snapshot(10, "REVOKED")], [{ detail: "Redis is out of reach." }, 503]];
  server.answer = ({ response, method }) => {
    if (method === "GET") stream(response, event(pending));
    else json(response, ...answers.shift());
  };
  const source = watch(server.task(), { headers: { Token: "x" } });
  await next(source, "snapshot");
  for (const nothing of [{}, null]) assert.deepEqual(await source.cancel(), nothing); // of the task
  assert.deepEqual(source.snapshot, pending);
  const [last, answer] = await Promise.all([end(source), source.cancel()]);
  assert.equal(last.status, "REVOKED");
  assert.deepEqual(answer, last);
  const { method, url, headers } = server.requests.at(-1);
  assert.deepEqual([method, url, headers.token], ["POST", "/jobs/tasks/a/cancel", "x"]);
  await assert.rejects(source.cancel(), { message: "Redis is out of reach." });
});

test("an address that is no task's is a mistake", () => {
  for (const address of ["mailto:a@example.com", "http://", "nowhere", `${server.origin}/tasks/%`]) {
    assert.throws(() => new TaskSource(address), { name: "TypeError", message: /^Expected the address/ });
  }
  assert.throws(() => new TaskSource([server.task(1), server.task(2)], { output: true }), TypeError);
  assert.ok(new TaskSourceError("cut", "x") instanceof Error);
});
