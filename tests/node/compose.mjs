// Composes subgraphs, with either vendor's composer:
//
//   node compose.mjs apollo|theguild name=url-or-file ... > supergraph.graphql
//
// A subgraph at a URL is asked for its SDL, as routers ask; one in a file can be composed but not routed to.
// Prints the supergraph, and beside it, on standard error, a line of JSON for each error and each hint.

import { readFile } from "node:fs/promises";
import { parse } from "graphql";

const composers = {
  async apollo(subgraphs) {
    const { composeServices } = await import("@apollo/composition");
    return composeServices(subgraphs);
  },
  async theguild(subgraphs) {
    const { composeServices } = await import("@theguild/federation-composition");
    return composeServices(subgraphs);
  },
};

async function subgraph(argument) {
  const [, name, where] = argument.match(/^([^=]+)=(.+)$/);
  const isUrl = /^https?:/.test(where);
  const sdl = isUrl ? await service(where) : await readFile(where, "utf8");
  return { name, url: isUrl ? where : undefined, typeDefs: parse(sdl) };
}

async function service(url) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: "{ _service { sdl } }" }),
  });
  return (await response.json()).data._service.sdl;
}

function tell(kind, { message, code, definition, extensions }) {
  console.error(JSON.stringify({ kind, code: code ?? definition?.code ?? extensions?.code, message }));
}

const [composer, ...named] = process.argv.slice(2);
const { supergraphSdl, errors = [], hints = [] } = await composers[composer](await Promise.all(named.map(subgraph)));
for (const error of errors) tell("error", error);
for (const hint of hints) tell("hint", hint);
if (supergraphSdl) console.log(supergraphSdl);
process.exitCode = errors.length ? 1 : 0;
