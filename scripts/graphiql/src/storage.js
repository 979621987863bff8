// Where GraphiQL keeps tabs and history: in localStorage, but without the headers of requests. The history would write
// them whatever it is told, and a key must not lie in clear text where it outlives the page and any script may read it.
const PREFIX = "graphiql:";
const HISTORIES = [`${PREFIX}queries`, `${PREFIX}favorites`];

export const storage = {
  getItem: (name) => localStorage.getItem(name),
  setItem: (name, value) => localStorage.setItem(name, HISTORIES.includes(name) ? withoutHeaders(value) : value),
  removeItem: (name) => localStorage.removeItem(name),
  clear: () => names().forEach((name) => localStorage.removeItem(name)),
  get length() {
    return names().length;
  },
};

function names() {
  return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
}

function withoutHeaders(history) {
  return JSON.stringify(JSON.parse(history), (key, value) => (key === "headers" ? undefined : value));
}
