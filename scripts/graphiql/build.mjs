// Bundles GraphiQL into gateway/graphiql/static. The same packages give the same bytes: run it twice and git is silent.
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const STATIC = path.resolve(HERE, "../../gateway/graphiql/static");

const WORKERS = {
  "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
  "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
  "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
};
// GraphiQL imports these when somebody presses Prettify. Files of their own keep a tenth of the weight off the page.
const FORMATTER = {
  "prettier.standalone": "prettier/standalone",
  "prettier.graphql": "prettier/plugins/graphql",
  "prettier.estree": "prettier/plugins/estree",
  "prettier.babel": "prettier/plugins/babel",
};
const PAGE = { graphiql: "src/main.jsx", favicon: "src/favicon.svg" };

const common = {
  absWorkingDir: HERE,
  outdir: STATIC,
  // The hash in the name is what lets browsers keep a file for good.
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  metafile: true,
  charset: "utf8",
  legalComments: "none", // LICENSES.txt has the full texts
  target: "es2022",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  loader: { ".svg": "copy", ".ttf": "file", ".woff2": "file" },
};

async function main() {
  await rm(STATIC, { recursive: true, force: true });
  await mkdir(STATIC, { recursive: true });
  const workers = await build({ ...common, entryPoints: WORKERS, format: "iife" });
  const formatter = await build({ ...common, entryPoints: FORMATTER, format: "esm" });
  const define = { ...common.define, ...workerNames(workers.metafile) };
  const plugins = [formatterNames(formatter.metafile)];
  const page = await build({ ...common, entryPoints: PAGE, format: "esm", define, plugins });
  await write("manifest.json", manifest(page.metafile));
  await write("LICENSES.txt", await licenses([workers.metafile, formatter.metafile, page.metafile]));
}

function write(name, text) {
  return writeFile(path.join(STATIC, name), text);
}

/** The file of the build that begins with `start` and ends with `end`; between them is the hash. */
function named({ outputs }, start, end) {
  const names = Object.keys(outputs).map((file) => path.basename(file));
  const found = names.find((name) => name.startsWith(`${start}-`) && name.endsWith(end));
  if (!found) throw new Error(`the build made no ${start}-*${end}`);
  return found;
}

/** The constants of src/workers.js: EDITOR_WORKER and the like, relative to the page's script. */
function workerNames(metafile) {
  const constant = (worker) => worker.replace(".", "_").toUpperCase();
  const address = (worker) => JSON.stringify(`./${named(metafile, worker, ".js")}`);
  return Object.fromEntries(Object.keys(WORKERS).map((worker) => [constant(worker), address(worker)]));
}

/** Points imports of Prettier at its files; `parser-x` is the former name of `plugins/x`, and GraphiQL uses both. */
function formatterNames(metafile) {
  const address = (part) => `./${named(metafile, `prettier.${part}`, ".js")}`;
  const resolve = ({ path: wanted }) => ({ path: address(wanted.split(/[/-]/).at(-1)), external: true });
  return { name: "formatter", setup: (bundler) => bundler.onResolve({ filter: /^prettier\// }, resolve) };
}

/** Which file plays which part, for page.py, which cannot know the hashes. */
function manifest(metafile) {
  const parts = {
    script: named(metafile, "graphiql", ".js"),
    style: named(metafile, "graphiql", ".css"),
    icon: named(metafile, "favicon", ".svg"),
    font: named(metafile, "fira-code-latin-400-normal", ".woff2"),
  };
  return `${JSON.stringify(parts, null, 2)}\n`;
}

async function licenses(metafiles) {
  const inputs = metafiles.flatMap((metafile) => Object.keys(metafile.inputs));
  const roots = new Set(inputs.map((file) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(file)?.[0]).filter(Boolean));
  const notices = new Set(await Promise.all([...roots].map(notice))); // a package may be installed twice
  return ["The files in this folder contain the packages below.\n", ...[...notices].sort()].join("\n");
}

/** Name, version and license of a package, and every license text it ships. */
async function notice(root) {
  const { name, version, license } = JSON.parse(await readFile(path.join(HERE, root, "package.json"), "utf8"));
  const all = await readdir(path.join(HERE, root));
  const files = all.filter((file) => /^(licen[cs]e|notice|third-?party)/i.test(file));
  const texts = await Promise.all(files.sort().map((file) => readFile(path.join(HERE, root, file), "utf8")));
  const rule = "=".repeat(100);
  return [rule, `${name} ${version}, ${license}`, rule, ...texts.map((text) => text.trim()), ""].join("\n");
}

await main();
