// The quick start of docs/frontend.md, as it is written there, up to the page in the browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { open, picture, program, root, start } from "./harness.mjs";

let world;
before(async () => (world = await start()));
after(() => world?.stop());

test("the quick start leads to a support page", async () => {
  const guide = readFileSync(join(root, "docs/frontend.md"), "utf8");
  const section = guide.split("## Quick start")[1].split("\n## ")[0];
  const [dev, ...blocks] = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  assert.equal(dev.trim(), "cargo run -- dev");
  const last = blocks.pop();
  assert.match(last, /npm run dev\n$/);
  const here = dirname(world.dir);
  const sh = (text) => execFileSync("bash", ["-euo", "pipefail", "-c", text.replaceAll("cargo run --", program)], { cwd: here, encoding: "utf8" });
  sh(blocks.join("\n"));
  // The guide's server has the usual port.
  const env = join(here, "my-support/.env.local");
  const settings = readFileSync(env, "utf8");
  assert.match(settings, /VITE_VICKET_URL=http:\/\/localhost:8080\n/);
  writeFileSync(env, settings.replaceAll("http://localhost:8080", world.dev.base_url));
  sh(last.replace("npm run dev\n", "npm run build\n"));

  const vite = spawn("npm", ["run", "dev"], { cwd: join(here, "my-support"), stdio: ["ignore", "pipe", "inherit"], detached: true });
  try {
    let said = "";
    vite.stdout.on("data", (text) => (said += text));
    for (let tries = 0; !said.includes("http://localhost:"); tries += 1) {
      assert.ok(vite.exitCode === null && tries < 300, said);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const page = await open(world.browser);
    await page.goto("http://localhost:5173");
    await page.getByRole("heading", { name: /Acme App/ }).waitFor();
    await page.getByRole("link", { name: /Getting started/ }).waitFor();
    await picture(page, "support-quickstart");
  } finally {
    // npm and what it started.
    process.kill(-vite.pid, "SIGTERM");
    await once(vite, "exit");
  }
});

test("a taken demo port is said in one line, and the rest goes on", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address();
  const other = await start("--demo-ports", `${port},0`);
  try {
    assert.equal(other.printed().split("\n").filter((line) => line.startsWith(`No demo page on port ${port}: `)).length, 1);
    assert.equal(other.dev.pages.allowed, null);
    assert.equal((await fetch(other.dev.pages.refused)).status, 200);
    assert.equal((await fetch(`${other.dev.base_url}/readyz`)).status, 200);
  } finally {
    await other.stop();
    taken.close();
  }
});

test("--demo-ports off serves no page", async () => {
  const other = await start("--demo-ports", "off");
  try {
    assert.deepEqual(other.dev.pages, { allowed: null, refused: null });
    assert.ok(!other.printed().includes("Its page"));
  } finally {
    await other.stop();
  }
});
