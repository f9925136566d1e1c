// The channels of the page: sources that ask for the same with the same headers share one for each 1,000 tasks.

import { Channel } from "./channel.js";
import { Requests, keyOf } from "./requests.js";

/** @typedef {import("./channel.js").ChannelOptions} ChannelOptions */

const MAX_TASKS = 1000; // the ids that the server takes in one request

/** @type {Map<string, Set<Channel>>} */
const channels = new Map();

/**
 * The channel for a task.
 * @param {import("./address.js").Address} address
 * @param {import("./requests.js").HeadersOption} headers
 * @param {RequestCredentials} credentials
 * @param {ChannelOptions} options
 */
export function channelFor({ id, many, stream }, headers, credentials, options) {
  const requests = new Requests(headers, credentials);
  if (options.output) return new Channel({ stream }, requests, options, () => undefined);
  const key = [many ?? stream, credentials, keyOf(headers), ...Object.values(options)].join(" ");
  const those = channels.get(key) ?? new Set();
  channels.set(key, those);
  const found = [...those].find((each) => each.has(id)) ?? [...those].find((each) => each.size < MAX_TASKS);
  if (found) return found;
  const channel = new Channel({ many, stream }, requests, options, () => {
    those.delete(channel);
    if (those.size === 0 && channels.get(key) === those) channels.delete(key);
  });
  those.add(channel);
  return channel;
}
