// How an operation travels: POST with JSON, and a stream where the operation is a subscription. GraphiQL brings a
// fetcher of its own; it asks for subscriptions over a WebSocket only, and says "Unexpected token <" of a proxy's page.
import { getOperationAST, parse } from "graphql";
import { meros } from "meros/browser";

const ONE_RESULT = "application/graphql-response+json, application/json";
const RESULTS = `multipart/mixed;subscriptionSpec=1.0, text/event-stream, ${ONE_RESULT}`;

export function createFetcher(endpoint) {
  return async (params, { headers } = {}) => {
    const abort = new AbortController();
    const accept = isSubscription(params) ? RESULTS : ONE_RESULT;
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { "content-type": "application/json", accept, ...headers },
      body: JSON.stringify(params),
      signal: abort.signal,
    });
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("multipart/mixed")) return stoppable(parts(response), abort);
    if (type.startsWith("text/event-stream")) return stoppable(events(response), abort);
    return result(response);
  };
}

// GraphiQL offers a parsed document as well, but a moment after a change of tabs that is still the old tab's.
function isSubscription({ query, operationName }) {
  try {
    return getOperationAST(parse(query), operationName)?.operation === "subscription";
  } catch {
    return false; // the server says better what is wrong with it
  }
}

async function result(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${response.status} ${response.statusText}: ${text.slice(0, 500) || "an empty answer"}`);
  }
}

// The Stop button calls `return`. A generator would obey after its next result; this closes the request at once.
function stoppable(results, abort) {
  const next = () => results.next().catch((error) => (abort.signal.aborted ? { done: true } : Promise.reject(error)));
  const stop = async () => {
    abort.abort();
    return { done: true };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: stop }) };
}

// Each part is { payload }, or empty when it only keeps the line open.
async function* parts(response) {
  for await (const part of await meros(response)) {
    if (part.json && part.body.payload) yield part.body.payload;
  }
}

// The events of the GraphQL over SSE protocol, "distinct connections" mode: `next` carries a result, `complete` ends.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const blocks = (pending + chunk.value).split(/\r?\n\r?\n/);
    pending = blocks.pop();
    for (const block of blocks) {
      const [, data] = /^event: ?next[^]*?^data: ?(.+)/m.exec(block) ?? [];
      if (data) yield JSON.parse(data);
    }
  }
}
