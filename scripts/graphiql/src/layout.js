// What GraphiQL has no property for: components that show nothing, and act on what it shows.
import { pick, useGraphiQL } from "@graphiql/react";
import { useEffect } from "react";

// The result wraps its lines; the query, beside a panel, is the narrower of the two.
export function WrappedLines() {
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  useEffect(() => queryEditor?.updateOptions({ wordWrap: "on" }), [queryEditor]);
  return null;
}

// With many tabs their bar scrolls, and a new tab opens at its far end.
export function ActiveTabInSight() {
  const { tabs, activeTabIndex } = useGraphiQL(pick("tabs", "activeTabIndex"));
  const { id, title } = tabs[activeTabIndex]; // a tab widens when it gets its title
  useEffect(() => {
    document.querySelector(".graphiql-tab-active")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [id, title]);
  return null;
}

// As style.css has it, which then stacks what is side by side otherwise.
export function isNarrow() {
  return matchMedia("(max-width: 900px)").matches;
}
