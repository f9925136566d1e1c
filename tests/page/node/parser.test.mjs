// The parser of event streams passes the table of the Python one; test_source.py writes it to a file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Parser } from "../../../taskstream/browser/source/parser.js";

const { streams, retries } = JSON.parse(readFileSync(process.env.TABLE, "utf-8"));
const bytes = (base64) => Buffer.from(base64, "base64");

/** What a parser makes of a stream that comes in pieces. */
function parse(stream, cuts = []) {
  const parser = new Parser();
  const events = [];
  let start = 0;
  for (const end of [...cuts, stream.length]) {
    events.push(...parser.feed(stream.subarray(start, end)));
    start = end;
  }
  return { events, lastEventId: parser.lastEventId, retry: parser.retryMilliseconds };
}

for (const { name, stream, events } of streams) {
  test(`a stream means what the standard says: ${name}`, () => {
    assert.deepEqual(parse(bytes(stream)).events, events);
  });
}

for (const { value, milliseconds } of retries) {
  test(`retry is ASCII digits only: ${bytes(value).subarray(0, 20)}`, () => {
    const line = Buffer.concat([Buffer.from("retry: "), bytes(value), Buffer.from("\n")]);
    assert.equal(parse(line).retry, milliseconds);
  });
}

test("however a stream is cut, its events are the same", () => {
  for (const { stream } of streams) {
    const all = bytes(stream);
    const whole = parse(all);
    assert.deepEqual(parse(all, [...all.keys()]), whole);
    if (all.length > 200) continue; // pairs of cuts are many
    for (let first = 0; first <= all.length; first++) {
      for (let second = first; second <= all.length; second++) {
        assert.deepEqual(parse(all, [first, second]), whole);
      }
    }
  }
});

test("an event is there with the CR of its blank line", () => {
  const parser = new Parser();
  const event = (data) => ({ type: "message", data, lastEventId: "" });
  assert.deepEqual(parser.feed(Buffer.from("data: a\r\n\r")), [event("a")]);
  assert.deepEqual(parser.feed(Buffer.from("\ndata: b\r\n\r\n")), [event("b")]);
});

test("an event without end is an error, many events are not", () => {
  const parser = new Parser();
  const mebibyte = Buffer.alloc(1024 * 1024, "x");
  const whole = Buffer.concat([Buffer.from("data: "), mebibyte, Buffer.from("\n\n")]);
  for (let count = 0; count < 20; count++) parser.feed(whole);
  assert.throws(() => {
    for (let count = 0; count < 20; count++) parser.feed(mebibyte);
  }, RangeError);
});
