// A router of Apollo's over a supergraph, on a free loopback port: node router.mjs supergraph.graphql
//
// Prints its URL when it is ready, and ends with its standard input, so that it never outlives whoever started it.

import { readFile } from "node:fs/promises";
import { ApolloGateway } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { ApolloServerPluginUsageReportingDisabled } from "@apollo/server/plugin/disabled";
import { startStandaloneServer } from "@apollo/server/standalone";

process.env.APOLLO_TELEMETRY_DISABLED = "1"; // it would tell its vendor about this machine
const gateway = new ApolloGateway({ supergraphSdl: await readFile(process.argv[2], "utf8") });
const server = new ApolloServer({ gateway, plugins: [ApolloServerPluginUsageReportingDisabled()] });
const { url } = await startStandaloneServer(server, { listen: { host: "127.0.0.1", port: 0 } });
console.log(url);
process.stdin.resume().on("end", () => process.exit());
