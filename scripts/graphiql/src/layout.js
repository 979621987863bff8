// What GraphiQL has no property for: components that show nothing, and act on what it shows.
import { useGraphiQL } from "@graphiql/react";
import { useEffect } from "react";

// The result wraps its lines; the query, beside a panel, is the narrower of the two.
export function WrappedLines() {
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  useEffect(() => queryEditor?.updateOptions({ wordWrap: "on" }), [queryEditor]);
  return null;
}
