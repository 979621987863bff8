// Loaded before a script, keeps its process on this machine: a socket to anywhere else ends it, saying where.

import net from "node:net";

const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...args) {
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  const host = typeof options === "object" ? options.host : args[1];
  if (!["127.0.0.1", "::1", "localhost", undefined].includes(host)) {
    console.error(`a socket to ${host} was asked for`);
    process.exit(3);
  }
  return connect.apply(this, args);
};
