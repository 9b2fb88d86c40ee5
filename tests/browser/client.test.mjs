// The scaffolded client in Node, against a server that fails as it is told to; and what the scaffold is built into.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { transform } from "esbuild";
import { program } from "./harness.mjs";

const modules = fileURLToPath(new URL("node_modules", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "vicket-scaffold-"));
const scaffold = (name, ...flags) => execFileSync(program, ["scaffold", join(dir, name), ...flags], { encoding: "utf8" });

let answers = [];
let asked = [];
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (text) => (body += text));
  request.on("end", () => {
    asked.push({ url: request.url, method: request.method, headers: request.headers, body, at: Date.now() });
    const { status = 200, headers = {}, body: answer = {}, never = false } = answers.shift() ?? {};
    if (never) return;
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(answer));
  });
});
const problem = (status, code, headers) => ({ status, headers, body: { status, code, detail: `about ${code}`, title: code, type: "x", request_id: "r" } });
let createClient, SupportError, url;

before(async () => {
  scaffold("plain", "--framework", "plain");
  ({ createClient, SupportError } = await import(join(dir, "plain/support-client.js")));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});
beforeEach(() => {
  answers = [];
  asked = [];
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const client = (options) => createClient({ url, key: "pk_one", ...options });
const ticket = { email: "ada@example.com", subject: "Help", message: "Please." };
const refused = async (call, code) => {
  const error = await call.then(() => assert.fail("it was answered"), (error) => error);
  assert.ok(error instanceof SupportError, String(error));
  assert.equal(error.code, code);
  return error;
};

test("calls are typed, named and carry the key in a header", async () => {
  answers = [{ body: { data: [], next_cursor: null } }];
  await client().articles({ q: "a b&c", limit: 5 });
  assert.equal(asked[0].url, "/support/v1/help/articles?q=a+b%26c&limit=5");
  assert.equal(asked[0].headers["x-vicket-key"], "pk_one");
  assert.equal(asked[0].headers["idempotency-key"], undefined);
  await client().article("a/b");
  assert.equal(asked[1].url, "/support/v1/help/articles/a%2Fb");
});

test("a busy server is asked again, as late as it says", async () => {
  answers = [problem(503, "overloaded", { "Retry-After": "1" }), { body: { name: "Acme" } }];
  assert.deepEqual(await client().site(), { name: "Acme" });
  assert.ok(asked[1].at - asked[0].at >= 990, `${asked[1].at - asked[0].at} ms`);
});

test("after some tries the error is passed on, with its code, hint and id", async () => {
  answers = [1, 2, 3, 4].map(() => problem(500, "internal_error"));
  const error = await refused(client().site(), "internal_error");
  assert.equal(asked.length, 3);
  assert.deepEqual([error.hint, error.status, error.requestId], ["about internal_error", 500, "r"]);
  await refused(client({ retries: 0 }).site(), "internal_error");
  assert.equal(asked.length, 4);
});

test("what the caller did wrong is not asked again", async () => {
  answers = [{ status: 422, body: { code: "unprocessable", detail: "d", errors: [{ field: "template_id", message: "is unknown" }] } }];
  const error = await refused(client().submitTicket(ticket), "unprocessable");
  assert.equal(asked.length, 1);
  assert.deepEqual(error.errors, [{ field: "template_id", message: "is unknown" }]);
});

test("a long wait is the caller's to decide, and a person is told how long", async () => {
  answers = [problem(429, "rate_limited", { "Retry-After": "40" })];
  const error = await refused(client().site(), "rate_limited");
  assert.equal(asked.length, 1);
  assert.equal(error.retryAfter, 40);
  assert.match(error.message, /try again in 40 seconds/);
});

test("a refused key gives way to the next one, and no call is lost", async () => {
  answers = [problem(401, "key_invalid"), {}, {}];
  const both = client({ nextKey: "pk_two" });
  await both.submitTicket(ticket);
  await both.site();
  assert.deepEqual(asked.map(({ headers }) => headers["x-vicket-key"]), ["pk_one", "pk_two", "pk_two"]);
  assert.equal(asked[0].headers["idempotency-key"], asked[1].headers["idempotency-key"]);
  answers = [problem(401, "key_invalid"), problem(401, "key_invalid")];
  await refused(both.site(), "key_invalid");
});

test("a key that was refused too often gives way, too", async () => {
  answers = [problem(429, "rate_limited", { "Retry-After": "60", RateLimit: '"refused";r=0;t=60' }), {}];
  await client({ nextKey: "pk_two" }).site();
  assert.equal(asked[1].headers["x-vicket-key"], "pk_two");
});

test("the same text sent again at once is the same submission, and another text is not", async () => {
  const support = client();
  await Promise.all([support.submitTicket(ticket), support.submitTicket({ ...ticket })]);
  await support.submitTicket({ ...ticket, subject: "Other" });
  await support.reply("tk_a", "Thanks");
  await support.reply("tk_b", "Thanks");
  await support.reply("tk_b", "Thanks", { idempotencyKey: "mine" });
  const keys = asked.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys[0], keys[1]);
  assert.equal(new Set(keys).size, 5);
  assert.equal(keys[5], "mine");
});

test("a retry repeats the submission's key", async () => {
  answers = [problem(503, "overloaded"), {}];
  await client().submitTicket(ticket);
  assert.equal(asked[0].headers["idempotency-key"], asked[1].headers["idempotency-key"]);
});

test("a call that was given up rejects with its signal's reason, also between two tries", async () => {
  const giveUp = new AbortController();
  answers = [{ never: true }];
  const call = client().site({ signal: giveUp.signal });
  setTimeout(() => giveUp.abort(), 50);
  await assert.rejects(call, { name: "AbortError" });
  answers = [problem(503, "overloaded", { "Retry-After": "5" })];
  await assert.rejects(client().site({ signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
  assert.equal(asked.length, 2);
});

test("no answer in time, and no server, are errors of their own", async () => {
  answers = [{ never: true }];
  await refused(client({ timeout: 60, retries: 0 }).site(), "timeout");
  const error = await refused(createClient({ url: "http://127.0.0.1:9", key: "pk_one", retries: 0 }).site(), "unreachable");
  assert.match(error.message, /check your connection/);
});

test("a key that was given never goes with the next key of the environment, which may be another site's", async () => {
  process.env.VICKET_KEY_NEXT = "pk_of_another_site";
  try {
    answers = [problem(401, "key_invalid"), problem(401, "key_invalid")];
    await refused(client().submitTicket(ticket), "key_invalid");
    assert.deepEqual(asked.map(({ headers }) => headers["x-vicket-key"]), ["pk_one"]);
    answers = [problem(401, "key_invalid"), {}];
    process.env.VICKET_KEY = "pk_of_the_environment";
    await createClient({ url }).site();
    assert.deepEqual(asked.slice(1).map(({ headers }) => headers["x-vicket-key"]), ["pk_of_the_environment", "pk_of_another_site"]);
  } finally {
    delete process.env.VICKET_KEY_NEXT;
    delete process.env.VICKET_KEY;
  }
});

test("what is no answer of Vicket's is said so, once, and a key that cannot be sent is refused at once", async () => {
  const html = createServer((_, response) => response.end("<!doctype html>")).listen(0, "127.0.0.1");
  await new Promise((resolve) => html.once("listening", resolve));
  const error = await refused(createClient({ url: `http://127.0.0.1:${html.address().port}`, key: "pk_one" }).site(), "unreadable");
  assert.match(error.hint, /not as Vicket does/);
  html.close();
  assert.throws(() => createClient({ url, key: "pk_one\u200b" }), /character that no key has/);
});

test("neither key nor token follows a redirect, and why nothing answered is said", async () => {
  answers = [{ status: 302, headers: { Location: "http://127.0.0.1:9/" } }];
  const error = await refused(client({ retries: 0 }).thread("tk_one"), "unreachable");
  assert.match(error.hint, /redirect/);
});

test("Retry-After may be a date", async () => {
  answers = [problem(429, "rate_limited", { "Retry-After": new Date(Date.now() + 60_000).toUTCString() })];
  const error = await refused(client().site(), "rate_limited");
  assert.ok(error.retryAfter > 55 && error.retryAfter <= 61, String(error.retryAfter));
});

test("an own Idempotency-Key is used once and not remembered", async () => {
  const support = client();
  await support.submitTicket(ticket, { idempotencyKey: "mine" });
  await support.submitTicket(ticket);
  assert.equal(asked[0].headers["idempotency-key"], "mine");
  assert.notEqual(asked[1].headers["idempotency-key"], "mine");
});

test("the client type-checks in a Node project, too", () => {
  const project = join(dir, "plain");
  writeFileSync(join(project, "package.json"), '{"type": "module"}');
  symlinkSync(modules, join(project, "node_modules"));
  execFileSync(join(modules, ".bin/tsc"), ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2022", "--types", "node", "support-client.ts"], { cwd: project, stdio: "inherit" });
});

test("key and URL come from the environment, and their lack is said", () => {
  const run = (env) =>
    execFileSync(process.execPath, ["--input-type=module", "-e", `import { createClient } from ${JSON.stringify(join(dir, "plain/support-client.js"))}; try { createClient(); console.log("made") } catch (error) { console.log(error.message) }`], { env: { PATH: process.env.PATH, ...env }, encoding: "utf8" });
  assert.match(run({ VICKET_KEY: "pk_x", VICKET_URL: "http://x" }), /made/);
  assert.match(run({ NEXT_PUBLIC_VICKET_KEY: "pk_x", NEXT_PUBLIC_VICKET_URL: "http://x" }), /made/);
  assert.match(run({ VICKET_KEY: "pk_x" }), /Set VITE_VICKET_KEY/);
});

test("the client is at most 4 KB, minified and gzipped, and needs nothing", async () => {
  const source = readFileSync(join(dir, "plain/support-client.js"), "utf8");
  const { code } = await transform(source, { minify: true, format: "esm" });
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`support-client: ${size} bytes`);
  assert.ok(size <= 4096, `${size} bytes`);
  assert.doesNotMatch(code, /\bimport\b(?!\.meta)|\brequire\b/);
});

test("the scaffold for Vite type-checks strictly and builds, with the key of its environment", () => {
  const said = scaffold("vite");
  assert.match(said, /wrote .*support-client\.ts/);
  assert.match(said, /npm install && npm run dev/);
  const project = join(dir, "vite");
  symlinkSync(modules, join(project, "node_modules"));
  const run = (tool, ...args) =>
    execFileSync(join(modules, ".bin", tool), args, { cwd: project, encoding: "utf8", env: { ...process.env, VITE_VICKET_KEY: "pk_of_the_build", VITE_VICKET_URL: "https://support.example" } });
  run("tsc", "--noUnusedLocals", "--noUnusedParameters", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noPropertyAccessFromIndexSignature", "--erasableSyntaxOnly", "--verbatimModuleSyntax");
  run("vite", "build");
  const html = readFileSync(join(project, "dist/index.html"), "utf8");
  const built = readFileSync(join(project, "dist", html.match(/src="\/(assets\/[^"]+\.js)"/)[1]), "utf8");
  assert.match(built, /pk_of_the_build/);
  assert.match(built, /https:\/\/support\.example/);
  assert.match(scaffold("vite"), /unchanged .*support-client\.ts/);
});

test("the scaffold for Next type-checks and builds, also where pages are rendered on the server", async () => {
  // Next wants its packages within the project or above it.
  const project = fileURLToPath(new URL(".next-app", import.meta.url));
  rmSync(project, { recursive: true, force: true });
  mkdirSync(join(project, "app"), { recursive: true });
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, dependencies: { next: "*" } }));
  writeFileSync(join(project, "app/layout.tsx"), "export default ({ children }: { children: React.ReactNode }) => <html lang=\"en\"><body>{children}</body></html>;\n");
  try {
    // The framework is that of the package.json.
    assert.match(execFileSync(program, ["scaffold", join(project, "app/support")], { encoding: "utf8" }), /wrote .*page\.tsx/);
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NEXT_PUBLIC_VICKET_KEY: "pk_of_the_build", NEXT_PUBLIC_VICKET_URL: "https://support.example" };
    const said = execFileSync(join(modules, ".bin/next"), ["build"], { cwd: project, encoding: "utf8", env });
    assert.match(said, /\/support/);
    assert.ok(readdirSync(join(project, ".next/static"), { recursive: true }).some((file) => file.endsWith(".js") && readFileSync(join(project, ".next/static", file), "utf8").includes("pk_of_the_build")), "the key is not in the build");
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
});

test("what Node and Vue ask of the kit type-checks, too", () => {
  const project = join(dir, "vue");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module", dependencies: { vue: "*" } }));
  assert.match(execFileSync(program, ["scaffold", project], { encoding: "utf8" }), /wrote .*vicket-support-vue\.d\.ts/);
  symlinkSync(modules, join(project, "node_modules"));
  writeFileSync(
    join(project, "use.ts"),
    `import type { GlobalComponents } from "vue";
    import { VicketSupport } from "./vicket-support.js";
    import { createClient } from "./support-client.js";
    const properties: InstanceType<GlobalComponents["vicket-support"]>["$props"] = { server: "https://support.example", routing: "memory" };
    // @ts-expect-error: no such way to route
    properties.routing = "elsewhere";
    export const known: [typeof VicketSupport, typeof createClient, typeof properties] = [VicketSupport, createClient, properties];
    `,
  );
  const options = ["--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--types", "vite/client", "--strict", "--noEmit", "--skipLibCheck"];
  execFileSync(join(modules, ".bin/tsc"), [...options, "use.ts", "vicket-support-vue.d.ts"], { cwd: project, encoding: "utf8" });
});

test("nothing is overwritten without --force", () => {
  const file = join(dir, "plain/index.html");
  const before = readFileSync(file, "utf8");
  execFileSync("sed", ["-i", "s/Support/Help/", file]);
  assert.throws(() => execFileSync(program, ["scaffold", join(dir, "plain"), "--framework", "plain"], { stdio: "pipe" }), /index\.html.*--force/);
  assert.notEqual(readFileSync(file, "utf8"), before);
  assert.match(scaffold("plain", "--framework", "plain", "--force"), /replaced .*index\.html/);
  assert.equal(readFileSync(file, "utf8"), before);
});
