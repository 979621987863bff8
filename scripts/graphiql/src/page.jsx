import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { useState } from "react";

import { examplesPlugin } from "./examples.jsx";
import { createFetcher } from "./fetcher.js";
import { Mark } from "./icons.jsx";
import { KEY_TEMPLATE, KeyForAllTabs } from "./key.js";
import { ActiveTabInSight, isNarrow, WrappedLines } from "./layout.js";
import { storage } from "./storage.js";

// More tabs than this run off the edge of a laptop's screen; the panel lists all examples anyway.
const FIRST_TABS = 4;

export function Page({ endpoint, needsKey, examples }) {
  // GraphiQL compares plugins by identity and fetches the schema again for a new fetcher: both are made once.
  const [props] = useState(() => ({
    fetcher: createFetcher(endpoint),
    plugins: [examplesPlugin(examples, needsKey), explorerPlugin({ showAttribution: false }), HISTORY_PLUGIN],
  }));
  return (
    <GraphiQL
      {...props}
      {...firstVisit(props.plugins, examples)}
      // Else variables are open if the first tab has some, and the query has the room if not.
      defaultEditorToolsVisibility={needsKey ? "headers" : undefined}
      defaultHeaders={needsKey ? KEY_TEMPLATE : undefined}
      storage={storage}
      shouldPersistHeaders={false} // nor is it offered in the settings: src/storage.js says why
      inputValueDeprecation
      schemaDescription
    >
      <GraphiQL.Logo>
        <span className="connections-logo">
          <Mark /> Connections
        </span>
      </GraphiQL.Logo>
      <WrappedLines />
      <ActiveTabInSight />
      {needsKey && <KeyForAllTabs />}
    </GraphiQL>
  );
}

// With nothing stored yet the examples are the tabs, and their panel is open where there is room for it. Later the visitor's own tabs come back,
// and these props would get in the way: `initialVariables` wins over what is stored.
function firstVisit([panel], examples) {
  if (examples.length === 0 || localStorage.getItem("graphiql:tabState")) return {};
  return {
    defaultTabs: examples.slice(0, FIRST_TABS),
    initialVariables: examples[0].variables,
    visiblePlugin: isNarrow() ? undefined : panel,
  };
}
