// The panel that lists the examples: what the graph can answer, one click from trying it.
import { isMacOs, pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { Kind, parse } from "graphql";

import { ExamplesIcon } from "./icons.jsx";
import { isNarrow } from "./layout.js";

export function examplesPlugin(examples, needsKey) {
  return { title: "Examples", icon: ExamplesIcon, content: () => <Examples examples={examples} needsKey={needsKey} /> };
}

function Examples({ examples, needsKey }) {
  const { tabs, activeTabIndex } = useGraphiQL(pick("tabs", "activeTabIndex"));
  const open = useOpenExample();
  return (
    <section aria-label="Examples" className="examples">
      <header className="examples-title">Examples</header>
      {needsKey && <p className="examples-hint">This gateway needs a key: write yours into Headers, below the query.</p>}
      <p className="examples-hint">
        Each opens in a tab of its own. Run it with {isMacOs ? "Cmd" : "Ctrl"}-Enter, then change it.
      </p>
      <ul>
        {examples.map((example) => (
          <li key={example.title}>
            <button type="button" aria-pressed={isIn(tabs[activeTabIndex], example)} onClick={() => open(example)}>
              <strong>{example.title}</strong>
              <span>{withCode(remark(example.query))}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

// Goes to the tab that still holds the example untouched, or opens a new one.
function useOpenExample() {
  const { addTab, changeTab, setOperationFacts, setVisiblePlugin, updateActiveTabValues } = useGraphiQLActions();
  const { tabs, queryEditor, variableEditor } = useGraphiQL(pick("tabs", "queryEditor", "variableEditor"));
  return (example) => {
    const index = tabs.findIndex((tab) => isIn(tab, example));
    if (index >= 0) changeTab(index);
    else {
      addTab();
      queryEditor?.setValue(example.query);
      variableEditor?.setValue(example.variables);
    }
    // GraphiQL works these out itself, a tenth of a second later: too late for someone who runs it at once.
    setOperationFacts(facts(example.query));
    updateActiveTabValues({ query: example.query, variables: example.variables });
    if (isNarrow()) setVisiblePlugin(null); // it covers what was opened
  };
}

function facts(query) {
  const documentAST = parse(query);
  const operations = documentAST.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  return { documentAST, operations, operationName: operations[0]?.name?.value };
}

function isIn(tab, { query, variables }) {
  return tab?.query === query && (tab.variables ?? "") === variables;
}

// The comment a query opens with says what it is for.
function remark(query) {
  const [comment] = /^(\s*#.*\n?)*/.exec(query);
  return comment.replaceAll(/^\s*# ?/gm, "").replaceAll(/\s+/g, " ").trim();
}

// What stands between backticks is code, as in the documentation.
function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part));
}
