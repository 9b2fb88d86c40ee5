// Writes what is generated of the front-end kit in src/scaffold/kit: support-api.ts, the types of openapi/support.v1.json;
// and in js/ the modules as browsers run them without a build. And src/pages/widget/widget.js: the launcher with the element
// and the client in one file, as the server serves it.
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { build } from "esbuild";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const root = new URL("../../", import.meta.url);
const kit = new URL("src/scaffold/kit/", root);
const document = JSON.parse(await readFile(new URL("openapi/support.v1.json", root), "utf8"));

// The client wraps the paths, so its readers need the schemas only: those of bodies, and one for each call's query.
for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query");
  if (query.length === 0) continue;
  const name = operation.operationId[0].toUpperCase() + operation.operationId.slice(1) + "Query";
  document.components.schemas[name] = {
    type: "object",
    description: `The query of \`${operation.operationId}\`.`,
    properties: Object.fromEntries(query.map(({ name, description, schema }) => [name, { ...schema, description }])),
  };
}
document.paths = {};
for (const schema of Object.values(document.components.schemas)) {
  delete schema.title;
  delete schema.example;
}
const codes = document.components.schemas.Problem.properties.code["x-extensible-enum"];

const header = `// The types of Vicket's support API, version ${document.info.version}. Generated from its OpenAPI document: change
// nothing here. \`vicket scaffold DIR --force\` writes it anew.

`;
const types = astToString(await openapiTS(document))
  .replace(/^export (type|interface) (paths|webhooks|operations|\$defs)\b[^;{]*(;|\{\s*\})\n/gm, "")
  .replace(/^ {4}(responses|parameters|requestBodies|headers|pathItems): never;\n/gm, "")
  // Codes that a later version brings are strings, too.
  .replace(/(\n\s+)code: string;/, (_, indent) => `${indent}code:${codes.map((code) => `${indent}    | "${code}"`).join("")}${indent}    | (string & {});`)
  .replace(/ {4}/g, "  ");
await writeFile(new URL("support-api.ts", kit), header + types);

await mkdir(new URL("js/", kit), { recursive: true });
for (const name of ["support-client", "vicket-support"]) {
  const source = await readFile(new URL(`${name}.ts`, kit), "utf8");
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  const { outputText } = ts.transpileModule(source, { compilerOptions: options });
  await writeFile(new URL(`js/${name}.js`, kit), outputText);
}

// Where bundlers put a page's environment there is nothing here: the script has its attributes.
const environment = { "import.meta": "{}", process: "undefined" };
await build({
  entryPoints: [new URL("vicket-widget.ts", kit).pathname],
  outfile: new URL("src/pages/widget/widget.js", root).pathname,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  define: environment,
  logLevel: "warning",
});
