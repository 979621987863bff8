// The entry of the page. The nonce comes first: Monaco adds style elements while it loads.
import "./nonce.js";
import "./workers.js";
import "monaco-graphql/esm/monaco-editor.js"; // static, so that its style sheets land in ours
import "./style.css";

import { createRoot } from "react-dom/client";

import { readConfig } from "./config.js";
import { Page } from "./page.jsx";

// Monaco measures the width of a character once, when an editor opens: its font has to be there by then.
await document.fonts.load('15px "Fira Code"').catch(() => undefined);
createRoot(document.getElementById("graphiql")).render(<Page {...readConfig()} />);
