// The launcher, as one tag in pages of other origins: a page without a policy, and one as strict as can be.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { accessible, open, picture, quiet, root, start } from "./harness.mjs";

let world;
let pages;
let origin;
let script;
const PHONE = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true };

before(async () => {
  world = await start("--rate-limits", "off");
  const { key } = world.site("acme-app");
  const { base_url } = world.dev;
  script = await (await fetch(`${base_url}/v1/widget.js`)).text();
  const version = createHash("sha256").update(script).digest("hex").slice(0, 12);
  const integrity = `sha384-${createHash("sha384").update(script).digest("base64")}`;
  const tag = (more = "") => `<script src="${base_url}/v1/widget-${version}.js" integrity="${integrity}" crossorigin data-key="${key}" ${more} async></script>`;
  const page = (head, body = "") => `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Shop</title>${head}</head>
    <body><main><h1>Shop</h1><p>Buy this. <a href="#terms">Terms</a></p>${body}</main></body></html>`;
  pages = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    response.setHeader("Content-Type", "text/html");
    if (pathname === "/strict") {
      response.setHeader("Content-Security-Policy", `default-src 'none'; script-src ${base_url}; connect-src ${base_url}; img-src https: data:; require-trusted-types-for 'script'; trusted-types vicket`);
    }
    const wrong = tag().replace(/sha384-..../, "sha384-AAAA");
    const made = { "/own": () => page(tag(`data-launcher="none"`)), "/wrong": () => page(wrong), "/none": () => page(`<script src="${base_url}/v1/widget.js" async></script>`) };
    response.end((made[pathname] ?? (() => page(tag())))());
  });
  await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
  origin = `http://localhost:${pages.address().port}`;
  world.command("site", "add-origin", "acme/acme-app", origin);
});

after(async () => {
  pages?.close();
  await world?.stop();
});

const launcher = (page) => page.locator("#vicket-launcher").getByRole("button", { name: /^Help/ });
const heading = (page, name) => page.getByRole("heading", { level: 1, name });

test("the script is small, kept by its version, and asks nobody else", async () => {
  const { base_url } = world.dev;
  const size = gzipSync(script, { level: 9 }).length;
  console.log(`widget: ${size} bytes`);
  assert.ok(size <= 15 * 1024, `${size} bytes`);
  const short = await fetch(`${base_url}/v1/widget.js`);
  assert.match(short.headers.get("cache-control"), /max-age=3600/);
  assert.equal(short.headers.get("access-control-allow-origin"), "*");
  assert.match(short.headers.get("content-type"), /^text\/javascript/);
  const version = createHash("sha256").update(script).digest("hex").slice(0, 12);
  const long = await fetch(`${base_url}/v1/widget-${version}.js`);
  assert.match(long.headers.get("cache-control"), /immutable/);
  assert.equal(await long.text(), script);
  const again = await fetch(`${base_url}/v1/widget.js`, { headers: { "If-None-Match": short.headers.get("etag") } });
  assert.equal(again.status, 304);
  assert.equal((await fetch(`${base_url}/v1/widget.js`, { method: "POST" })).status, 405);
  // One of another release is what there is, and not for good.
  const other = await fetch(`${base_url}/v1/widget-000000000000.js`);
  assert.deepEqual([other.status, await other.text()], [200, script]);
  assert.doesNotMatch(other.headers.get("cache-control"), /immutable/);
  assert.equal((await fetch(`${base_url}/v1/widgets.js`)).status, 404);

  const page = await open(world.browser);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url())));
  await page.goto(origin);
  await launcher(page).waitFor();
  await page.waitForTimeout(300);
  assert.deepEqual(asked.map(({ pathname }) => pathname).filter((path) => path.startsWith("/support/")), [], "a page that nobody asked for help on asks nothing");
  await launcher(page).click();
  await heading(page, /Acme App/).waitFor();
  const known = [new URL(base_url).host, new URL(origin).host];
  assert.deepEqual(asked.filter(({ host }) => !known.includes(host)).map(String), []);
  quiet(page);
});

for (const [name, options] of [["desktop", {}], ["phone", PHONE], ["dark", { colorScheme: "dark" }]]) {
  test(`a customer finds help and writes a ticket without leaving the page: ${name}`, async () => {
    const page = await open(world.browser, options);
    await page.goto(`${origin}/strict`);
    await launcher(page).waitFor();
    await accessible(page, "closed");
    await page.evaluate(() => {
      globalThis.heard = [];
      for (const event of ["ready", "ticket-submitted", "reply-sent", "article-viewed", "search", "error"])
        document.addEventListener(`vicket:${event}`, ({ detail }) => globalThis.heard.push([event, detail]));
    });
    await launcher(page).click();
    await heading(page, /Acme App/).waitFor();
    await accessible(page, "open");
    await picture(page, `widget-${name}`);
    const panel = await page.getByRole("dialog", { name: "Help" }).boundingBox();
    const { width, height } = page.viewportSize();
    assert.ok(panel.x >= 0 && panel.y >= 0 && panel.x + panel.width <= width && panel.y + panel.height <= height, JSON.stringify(panel));

    await page.getByLabel("Search the help center").fill("exprot");
    await page.getByRole("heading", { name: "Articles about “export”" }).waitFor();
    await page.getByRole("link", { name: /Export your data/ }).click();
    await heading(page, "Export your data").waitFor();
    await page.getByRole("link", { name: "Write to us" }).click();
    await page.evaluate(() => globalThis.vicket.prefill({ email: "ada@example.com", subject: "Ignored later" }));
    assert.equal(await page.getByLabel("Your e-mail address").inputValue(), "ada@example.com");
    await page.getByLabel("Subject").fill(`It is broken (${name})`);
    await page.getByLabel("Message").fill("Please help.");
    await page.getByRole("button", { name: "Send" }).click();
    await heading(page, "Thank you").waitFor();
    assert.equal(new URL(page.url()).hash, "", "the page's address is its own");

    // Focus stays within; Escape closes and gives it back.
    for (let tabs = 0; tabs < 30; tabs += 1) {
      await page.keyboard.press("Tab");
      const within = await page.evaluate(() => document.activeElement === document.body || document.activeElement.id === "vicket-launcher");
      assert.ok(within, "focus left the panel");
    }
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.locator("#launch[aria-expanded=false]").waitFor();
    assert.ok(await launcher(page).evaluate((button) => button.getRootNode().activeElement === button), "focus is back on the button");
    const heard = await page.evaluate(() => globalThis.heard);
    const names = heard.map(([event]) => event);
    for (const event of ["ready", "article-viewed", "ticket-submitted"]) assert.ok(names.includes(event), `${event}: ${names}`);
    assert.doesNotMatch(JSON.stringify(heard), /tk_/);

    // An answer is counted on the button of the next page, and no more once it was read.
    const { data } = await world.agent("agent@acme.com", "GET", `/v1/orgs/acme/tickets?q=${name}`);
    await world.agent("agent@acme.com", "POST", `/v1/orgs/acme/tickets/${data[0].id}/messages`, { body: "Better now?", internal: false });
    await page.goto(origin);
    await page.getByRole("button", { name: "Help 1 new" }).click();
    await page.getByRole("region", { name: "Your tickets" }).getByText("New answer").waitFor();
    await accessible(page, "tickets");
    await page.getByRole("link", { name: /It is broken/ }).click();
    await page.getByText("Better now?").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Help", exact: true }).waitFor();
    quiet(page);
    await page.context().close();
  });
}

test("a page drives it: its own button, an article by its slug, and events", async () => {
  const page = await open(world.browser);
  await page.goto(`${origin}/own`);
  await page.waitForFunction(() => globalThis.vicket);
  assert.equal(await launcher(page).count(), 0, "the page has a button of its own");
  await page.evaluate(() => globalThis.vicket.show("article", "getting-started"));
  await heading(page, "Getting started").waitFor();
  await page.evaluate(() => globalThis.vicket.close());
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.evaluate(() => globalThis.vicket.show("article", "there-is-none"));
  await page.getByText("We could not find that.").waitFor();
  await page.evaluate(() => globalThis.vicket.show("new"));
  await heading(page, /Write to/).waitFor();
  await page.context().close();
});

test("what cannot work says so, and leaves the page alone", async () => {
  const wrong = await open(world.browser);
  await wrong.goto(`${origin}/wrong`);
  await wrong.waitForTimeout(500);
  assert.ok(wrong.said.some((line) => line.includes("integrity")), wrong.said.join("\n"));
  assert.equal(await wrong.evaluate(() => typeof globalThis.vicket), "undefined");
  const none = await open(world.browser);
  await none.goto(`${origin}/none`);
  await none.waitForTimeout(300);
  assert.equal(await none.locator("#vicket-launcher").count(), 0);
});

test("a customer whom the site vouches for, as docs/identity.md says, finds their tickets in any browser", async () => {
  const { base_url, users } = world.dev;
  const { id, key } = world.site("acme-app");
  const owner = users.find(({ org, role }) => org === "acme" && role === "owner").email;
  const blocks = [...readFileSync(join(root, "docs/identity.md"), "utf8").matchAll(/```(\w+)\n(.*?)```/gs)];
  const [keyPair, makeSecret, byHand] = blocks.filter(([, language]) => language === "sh").map(([, , text]) => text);
  const [signer] = blocks.filter(([, language]) => language === "js").map(([, , text]) => text);
  const made = await world.agent(owner, "POST", "/v1/orgs/acme/machine-keys", { name: "identity", permissions: ["site:edit", "apikey:rotate"] });
  const cwd = mkdtempSync(join(world.dir, "..", "identity-"));
  const env = { ...process.env, VICKET_URL: base_url, VICKET_KEY: key, VICKET_SITE_ID: id, VICKET_MACHINE_KEY: made.key, IDENTITY_KEY: join(cwd, "identity.pem") };
  const run = (text, more = {}) => execFileSync("bash", ["-euo", "pipefail", "-c", text], { cwd, env: { ...env, ...more }, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  run(keyPair);
  const { secret } = JSON.parse(run(makeSecret));
  assert.deepEqual(JSON.parse(run(byHand, { IDENTITY_SECRET: secret })), { data: [], next_cursor: null });
  writeFileSync(join(cwd, "signer.mjs"), signer);
  Object.assign(process.env, { VICKET_SITE_ID: id, IDENTITY_KEY: env.IDENTITY_KEY });
  const { identityToken } = await import(pathToFileURL(join(cwd, "signer.mjs")));

  const visit = async (path = "/strict") => {
    const page = await open(world.browser);
    await page.exposeFunction("token", () => identityToken({ id: "user-7", email: "grace@acme.example", name: "Grace Hopper" }));
    await page.goto(`${origin}${path}`);
    await page.waitForFunction(() => globalThis.vicket);
    await page.evaluate(() => globalThis.vicket.identify(() => globalThis.token()));
    return page;
  };
  const here = await visit();
  await launcher(here).click();
  await here.getByRole("link", { name: "Write to us", exact: true }).click();
  await here.getByText("You write as Grace Hopper, grace@acme.example.").waitFor();
  assert.equal(await here.getByLabel("Your e-mail address").count(), 0);
  await here.getByLabel("Subject").fill("The compiler is broken");
  await here.getByLabel("Message").fill("A moth.");
  await accessible(here, "identified");
  await here.getByRole("button", { name: "Send" }).click();
  await here.getByText("It is in your tickets, wherever you log in.").waitFor();
  const kept = await here.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /cs_|tk_/);

  const { data } = await world.agent("agent@acme.com", "GET", "/v1/orgs/acme/tickets?q=compiler");
  await world.agent("agent@acme.com", "POST", `/v1/orgs/acme/tickets/${data[0].id}/messages`, { body: "We took it out.", internal: false });
  const there = await visit();
  await there.getByRole("button", { name: "Help 1 new" }).click();
  await there.getByRole("region", { name: "Your tickets" }).getByText("New answer").waitFor();
  await accessible(there, "their tickets");
  await there.getByRole("link", { name: /The compiler is broken/ }).click();
  await there.getByText("We took it out.").waitFor();
  await there.getByLabel("Your reply").fill("It works again.");
  await there.getByRole("button", { name: "Send reply" }).click();
  await there.getByText("Your reply was sent.").waitFor();
  await there.getByRole("button", { name: "Close" }).click();
  await there.getByRole("button", { name: "Help", exact: true }).waitFor();

  // A session that ended is opened anew; and nothing is theirs once they logged out.
  await there.evaluate(() => globalThis.vicket.show("home"));
  await there.getByRole("region", { name: "Your tickets" }).waitFor();
  await there.evaluate(() => globalThis.vicket.identify(null));
  await there.getByRole("region", { name: "Your tickets" }).waitFor({ state: "detached" });
  quiet(there);
  await there.context().close();
  await here.context().close();
});
