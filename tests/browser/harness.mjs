// A server with the demo, and a browser, for one test file. `await start()` in `before`, `await stop()` in `after`.
//
// VICKET_PROGRAM is the program (target/debug/vicket unless set), VICKET_CHROMIUM the browser (found on the PATH unless set).
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const program = process.env.VICKET_PROGRAM ?? join(root, "target/debug/vicket");
/** Where screenshots go. */
export const screenshots = join(root, "target/screenshots");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

function browserProgram() {
  const names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
  const places = (process.env.PATH ?? "").split(":").flatMap((dir) => names.map((name) => join(dir, name)));
  const found = process.env.VICKET_CHROMIUM ?? places.find(existsSync);
  assert.ok(found, "no Chromium on the PATH; Debian's package is chromium");
  return found;
}

/** Starts `vicket dev` with a database of its own, and a browser. What the server logs is `log()`. */
export async function start(...flags) {
  const dir = mkdtempSync(join(tmpdir(), "vicket-browser-"));
  // PostgreSQL's user goes through it; what is inside has modes of its own.
  chmodSync(dir, 0o711);
  const data = join(dir, ".vicket");
  if (!flags.includes("--demo-ports")) flags.push("--demo-ports", "0,0");
  const args = ["dev", "--port", "0", "--data-dir", data, "--log-format", "json", ...flags];
  const server = spawn(program, args, { env: { ...process.env, VICKET_LOG: "info" }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let log = "";
  server.stdout.on("data", (text) => (output += text));
  server.stderr.on("data", (text) => (log += text));
  const ended = once(server, "exit");
  const file = join(data, "dev.json");
  for (let tries = 0; ; tries += 1) {
    assert.ok(server.exitCode === null && tries < 600, `vicket dev did not start:\n${output}${log}`);
    if (output.includes("Vicket is ready")) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const dev = JSON.parse(readFileSync(file, "utf8"));
  const browser = await chromium.launch({ executablePath: browserProgram(), args: ["--no-sandbox"] });
  mkdirSync(screenshots, { recursive: true });
  return {
    dev,
    browser,
    dir: data,
    /** What it printed, and what it logged. */
    printed: () => output,
    log: () => log,
    site: (slug) => dev.sites.find((site) => site.slug === slug),
    user: (email) => dev.users.find((user) => user.email === email),
    /** A command of the program as a DBA runs it; its standard output. */
    command: (...args) =>
      execFileSync(program, args, { encoding: "utf8", env: { ...process.env, VICKET_ADMIN_URL: dev.databases.admin } }).trim(),
    /** A call of the agents' API by somebody of the demo. */
    agent: async (email, method, path, body) => {
      const json = { "Content-Type": "application/json", Origin: dev.base_url };
      const { password } = dev.users.find((user) => user.email === email);
      const login = await fetch(`${dev.base_url}/v1/auth/login`, { method: "POST", headers: json, body: JSON.stringify({ email, password }) });
      const Cookie = login.headers.get("set-cookie").split(";")[0];
      const answer = await fetch(`${dev.base_url}${path}`, { method, headers: { ...json, Cookie }, body: body && JSON.stringify(body) });
      assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${answer.ok ? "" : await answer.text()}`);
      return answer.status === 204 ? undefined : answer.json();
    },
    stop: async () => {
      await browser.close();
      server.kill("SIGTERM");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A page in a profile of its own; what its console says is in `page.said`. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.said = [];
  page.on("console", (message) => page.said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => page.said.push(`pageerror: ${error}`));
  return page;
}

/** Fails on any serious or critical finding of axe-core. The page's policy allows no script of others, the browser does. */
export async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const said = serious.map(({ id, help, nodes }) => `${id}: ${help}\n    ${nodes.map((node) => node.target.join(" ")).join("\n    ")}`);
  assert.deepEqual(said, [], what);
}

/** A picture of the whole page, in target/screenshots. */
export function picture(page, name) {
  return page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

/** Fails on anything that the page's console said, but for refusals that a test provoked. */
export const quiet = (page) => assert.deepEqual(page.said.filter((line) => !line.startsWith("log") && !/status of 4\d\d/.test(line)), []);

/** The dashboard of a server with the demo: its addresses, its people, and a page of somebody who has logged in by the form. */
export function dashboard(server) {
  const at = (path) => `${server.dev.base_url}/dashboard/${path}`;
  return {
    at,
    who: (role, org = "acme") => server.dev.users.find((user) => user.org === org && user.role === role).email,
    as: async (email, options) => {
      const page = await open(server.browser, options);
      await page.goto(at(""));
      await page.getByLabel("E-mail").fill(email);
      await page.getByLabel("Password").fill(server.user(email).password);
      await page.getByRole("button", { name: "Log in" }).click();
      await page.waitForURL(/dashboard\/(acme|globex)/);
      return page;
    },
  };
}
