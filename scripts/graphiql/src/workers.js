// Monaco parses and validates in workers. They are files of ours beside this module, because blob: workers, which
// Monaco uses when nothing else is said, would need `worker-src blob:`. The build fills in the three names.
const names = { graphql: GRAPHQL_WORKER, json: JSON_WORKER };

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(new URL(names[label] ?? EDITOR_WORKER, import.meta.url)),
};
