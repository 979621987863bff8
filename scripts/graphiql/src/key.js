// For an endpoint that answers only to a key: one key for the whole page, given once, where GraphiQL has headers of
// each tab.
import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useRef } from "react";

export const KEY_TEMPLATE = '{ "X-API-Key": "" }';
const PAUSE_MS = 500; // in typing, after which the key is taken to be whole

export function KeyForAllTabs() {
  const { headerEditor, responseEditor, schema } = useGraphiQL(pick("headerEditor", "responseEditor", "schema"));
  const { introspect } = useGraphiQLActions();
  const now = useRef();
  useEffect(() => {
    now.current = { responseEditor, schema };
  });
  useEffect(() => {
    if (!headerEditor) return undefined;
    placeCursor(headerEditor);
    return keepHeaders(headerEditor, {
      onTyped() {
        // The result still shows how the schema was refused.
        if (!now.current.schema) now.current.responseEditor?.setValue("");
      },
      onGiven() {
        if (!now.current.schema) introspect();
      },
    });
  }, [headerEditor, introspect]);
  return null;
}

// Between the quotes of the template: a key can be pasted at once.
function placeCursor(editor) {
  const column = KEY_TEMPLATE.indexOf('""') + 2;
  if (editor.getValue() !== KEY_TEMPLATE) return;
  editor.setPosition({ lineNumber: 1, column });
  editor.focus();
}

// What was typed stays, whichever tab or entry of the history is opened: those set the whole text ("flush") to what they
// hold. Prettify does too, and may, since it only moves white space.
function keepHeaders(editor, { onTyped, onGiven }) {
  let kept = editor.getValue();
  let timer;
  const listener = editor.onDidChangeModelContent(({ isFlush }) => {
    const value = editor.getValue();
    if (isFlush && !isAlike(value, kept)) {
      queueMicrotask(() => editor.setValue(kept)); // not before everybody else has heard of this change
      return;
    }
    kept = value;
    if (isFlush) return;
    onTyped();
    clearTimeout(timer);
    timer = setTimeout(() => hasValues(kept) && onGiven(), PAUSE_MS);
  });
  return () => {
    clearTimeout(timer);
    listener.dispose();
  };
}

function isAlike(one, other) {
  return one.replaceAll(/\s/g, "") === other.replaceAll(/\s/g, "");
}

function hasValues(headers) {
  try {
    return Object.values(JSON.parse(headers)).some(Boolean);
  } catch {
    return false; // not typed to its end, or with comments: the button beside the settings still fetches the schema
  }
}
