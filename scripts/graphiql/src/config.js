// What the server tells the page: { endpoint, needsKey, examples: [{ title, query, variables }] }, in a script element
// of type application/json. It is data to the browser, so the policy needs no permission for inline scripts.
export function readConfig() {
  return JSON.parse(document.getElementById("graphiql-config").textContent);
}
