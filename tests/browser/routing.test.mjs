// Where <vicket-support> keeps what it shows: in pages with a `<base href>`, with a hash router, that keep no fragment, and that
// demand Trusted Types.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { root, start } from "./harness.mjs";

let world;
let pages;
let origin;

const kit = (name) => readFileSync(join(root, "src/scaffold/kit/js", name), "utf8");
const POLICY = "require-trusted-types-for 'script'; trusted-types vicket";

/** A page with the element; its attributes, and what else stands in its head. */
function page(attributes, head = "") {
  const { key } = world.site("acme-app");
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Help</title>${head}
    <script type="module" src="/kit/vicket-support.js"></script></head>
    <body><p id="app"></p><main><vicket-support server="${world.dev.base_url}" publishable-key="${key}" ${attributes}></vicket-support></main></body></html>`;
}

// As routers do that keep their route behind `#`: what follows another `#` is a place in the page.
const HASH_ROUTER = `<script>
  const draw = () => { document.getElementById("app").textContent = "route " + location.hash.slice(1).split("#")[0]; };
  addEventListener("DOMContentLoaded", draw); addEventListener("hashchange", draw); addEventListener("popstate", draw);
</script>`;

before(async () => {
  world = await start();
  pages = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const made = {
      "/deep/base": () => page("", `<base href="/elsewhere/">`),
      "/hash": () => page("", HASH_ROUTER),
      "/memory": () => page(`routing="memory"`, HASH_ROUTER),
      "/history": () => page(`routing="history"`),
    }[pathname];
    if (pathname.startsWith("/kit/")) {
      response.setHeader("Content-Type", "text/javascript");
      return response.end(kit(pathname.slice(5)));
    }
    if (!made) return response.writeHead(404).end();
    response.setHeader("Content-Type", "text/html");
    response.setHeader("Content-Security-Policy", POLICY);
    response.end(made());
  });
  await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
  origin = `http://localhost:${pages.address().port}`;
  world.command("site", "add-origin", "acme/acme-app", origin);
});

after(async () => {
  pages.close();
  await world.stop();
});

async function opened(path) {
  const context = await world.browser.newContext();
  const tab = await context.newPage();
  const failed = [];
  tab.on("pageerror", (error) => failed.push(String(error)));
  await tab.goto(origin + path);
  await tab.getByRole("link", { name: "Getting started" }).waitFor();
  return { tab, failed, close: () => context.close() };
}

const article = (tab) => tab.getByRole("heading", { level: 1, name: "Getting started" });
const start_page = (tab) => tab.getByRole("heading", { level: 1, name: /How can we help/ });

test("a page with a base element stays where it is", async () => {
  const { tab, failed, close } = await opened("/deep/base?x=1");
  await tab.getByRole("link", { name: "Getting started" }).click();
  await article(tab).waitFor();
  assert.equal(tab.url(), `${origin}/deep/base?x=1#vicket-article=getting-started`);
  const other = await tab.getByRole("link", { name: "Write to us", exact: true }).getAttribute("href");
  assert.equal(other, `${origin}/deep/base?x=1#vicket-new`);
  await tab.goBack();
  await start_page(tab).waitFor();
  await tab.reload();
  await start_page(tab).waitFor();
  assert.deepEqual(failed, []);
  await close();
});

test("an app with a hash router keeps its route, and the link is good for both", async () => {
  const { tab, failed, close } = await opened("/hash#/help/a%2Fb");
  await tab.getByRole("link", { name: "Getting started" }).click();
  await article(tab).waitFor();
  assert.equal(tab.url(), `${origin}/hash#/help/a%2Fb#vicket-article=getting-started`);
  assert.equal(await tab.locator("#app").textContent(), "route /help/a%2Fb");
  await tab.goBack();
  await start_page(tab).waitFor();
  assert.equal(tab.url(), `${origin}/hash#/help/a%2Fb`);
  await tab.goForward();
  await article(tab).waitFor();
  await tab.reload();
  await article(tab).waitFor();
  assert.equal(await tab.locator("#app").textContent(), "route /help/a%2Fb");
  assert.deepEqual(failed, []);
  await close();
});

test("kept in memory, the address stays the app's, and a ticket's link opens the ticket all the same", async () => {
  const { tab, failed, close } = await opened("/memory#/help");
  await tab.getByRole("link", { name: "Getting started" }).click();
  await article(tab).waitFor();
  assert.equal(tab.url(), `${origin}/memory#/help`);
  await tab.getByRole("link", { name: "All help" }).click();
  await start_page(tab).waitFor();
  await tab.getByRole("link", { name: "Write to us", exact: true }).click();
  await tab.getByLabel("Your e-mail address").fill("ada@example.com");
  await tab.getByLabel("Subject").fill("In memory");
  await tab.getByLabel("Message").fill("Nothing of this is in the address.");
  await tab.getByRole("button", { name: "Send" }).click();
  const link = await tab.getByRole("link", { name: "Open the ticket" }).getAttribute("href");
  assert.equal(tab.url(), `${origin}/memory#/help`);
  assert.match(link, /\/memory#\/help#vicket-ticket=tk_/);
  await tab.goto("about:blank");
  await tab.goto(link);
  await tab.getByRole("heading", { level: 1, name: "In memory" }).waitFor();
  assert.deepEqual(failed, []);
  await close();
});

test("kept in the query, the browser goes back and forth, and a ticket's token stands only behind #", async () => {
  const { tab, failed, close } = await opened("/history?x=1#top");
  await tab.getByRole("link", { name: "Getting started" }).click();
  await article(tab).waitFor();
  assert.equal(tab.url(), `${origin}/history?x=1&vicket=article%3Dgetting-started#top`);
  await tab.goBack();
  await start_page(tab).waitFor();
  await tab.goForward();
  await article(tab).waitFor();
  await tab.getByRole("link", { name: "Write to us", exact: true }).click();
  await tab.getByLabel("Your e-mail address").fill("ada@example.com");
  await tab.getByLabel("Subject").fill("In the query");
  await tab.getByLabel("Message").fill("But not the token.");
  await tab.getByRole("button", { name: "Send" }).click();
  await tab.getByRole("link", { name: "Open the ticket" }).click();
  await tab.getByRole("heading", { level: 1, name: "In the query" }).waitFor();
  const address = new URL(tab.url());
  assert.ok(!address.search.includes("tk_") && address.hash.includes("#vicket-ticket=tk_"), address.href);
  assert.deepEqual(failed, []);
  await close();
});
