// The scaffolded support page in a browser, from another origin than the server's, as a customer uses it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible, open, picture, start } from "./harness.mjs";

let world;
before(async () => (world = await start("--rate-limits", "off")));
after(() => world?.stop());

const home = () => world.dev.pages.allowed;
const heading = (page, name) => page.getByRole("heading", { level: 1, name });

/** Fills the form in and sends it; the address that opens the ticket. */
async function submit(page, { subject = "It does not work", message = "Please help me." } = {}) {
  await page.goto(`${home()}/#vicket-new`);
  await page.getByLabel("Your e-mail address").fill("ada@example.com");
  await page.getByLabel("Your name").fill("Ada");
  await page.getByLabel("Subject").fill(subject);
  await page.getByLabel("Message").fill(message);
  await page.getByRole("button", { name: "Send" }).click();
  await heading(page, "Thank you").waitFor();
  const link = await page.getByRole("link", { name: "Open the ticket" }).getAttribute("href");
  return new URL(link, page.url()).href;
}

test("a customer reads and searches", async () => {
  const page = await open(world.browser);
  await page.goto(home());
  await heading(page, /Acme App/).waitFor();
  await page.getByRole("link", { name: /Getting started/ }).waitFor();
  assert.equal(await page.getByText("API tokens").count(), 0, "a draft is shown");
  await accessible(page, "home");
  await picture(page, "support-home");

  await page.getByLabel("Search the help center").fill("export");
  await page.getByText("1 found.").waitFor();
  assert.equal(await page.getByRole("link", { name: /Getting started/ }).count(), 0);
  await page.getByLabel("Search the help center").fill("xyzzy");
  await page.getByText("Nothing found. Try other words").waitFor();
  await page.getByLabel("Search the help center").fill("export");
  await page.getByRole("link", { name: /Export your data/ }).click();
  await heading(page, "Export your data").waitFor();
  await page.getByRole("listitem").getByText("projects as JSON").waitFor();
  await accessible(page, "article");
  await picture(page, "support-article");
  await page.goBack();
  await heading(page, /Acme App/).waitFor();
  // What was searched for is still there, and a FAQ is found by the beginning of a word of it.
  assert.equal(await page.getByText("Can I change my plan later?").count(), 0);
  await page.getByLabel("Search the help center").fill("change my pla");
  await page.getByText("Can I change my plan later?").click();
  await page.getByText("at any time").waitFor();
  assert.deepEqual(page.said, []);
});

test("a customer fills a form in, gets a link, replies by it and opens a solved ticket again", async () => {
  const page = await open(world.browser);
  const requests = [];
  page.on("request", (request) => requests.push(request));
  await page.goto(`${home()}/#vicket-new`);
  await page.getByLabel("What is it about?").selectOption({ label: "Something is broken" });
  await page.getByLabel("Your e-mail address").fill("ada@example.com");
  await page.getByLabel("Subject").fill("The page is <b>blank</b>");
  await page.getByLabel("How bad is it?").selectOption({ label: "I cannot work" });
  await page.getByLabel("Since when?").fill("2026-01-31");
  await page.getByLabel("Message").fill("<img src=x onerror=alert(1)>");
  await accessible(page, "form");
  await picture(page, "support-form");
  await page.getByRole("button", { name: "Send" }).click();
  await heading(page, "Thank you").waitFor();
  await accessible(page, "thanks");
  const link = new URL(await page.getByRole("link", { name: "Open the ticket" }).getAttribute("href"), page.url()).href;
  const token = link.match(/tk_[\w-]{43}$/)[0];

  // Elsewhere, by the link alone.
  const other = await open(world.browser);
  other.on("request", (request) => requests.push(request));
  await other.goto(link);
  await heading(other, "The page is <b>blank</b>").waitFor();
  await other.getByText("<img src=x onerror=alert(1)>").waitFor();
  const { data } = await world.agent("agent@acme.com", "GET", "/v1/orgs/acme/tickets?q=blank");
  await world.agent("agent@acme.com", "POST", `/v1/orgs/acme/tickets/${data[0].id}/messages`, { body: "Is it better now?", internal: false });
  await world.agent("agent@acme.com", "POST", `/v1/orgs/acme/tickets/${data[0].id}/messages`, { body: "a note", internal: true });
  await world.agent("agent@acme.com", "PATCH", `/v1/orgs/acme/tickets/${data[0].id}`, { status: "Resolved" });
  await other.reload();
  await other.getByText("Is it better now?").waitFor();
  await other.getByText("It is solved. A reply opens it again.").waitFor();
  assert.equal(await other.getByText("a note").count(), 0, "a note is shown");
  await accessible(other, "thread");
  await picture(other, "support-thread");
  await other.getByLabel("Your reply").fill("Not yet.");
  await other.getByRole("button", { name: "Send reply" }).click();
  await other.getByRole("status").getByText("Your reply was sent.").waitFor();
  await other.getByText("Open", { exact: true }).waitFor();
  const ticket = await world.agent("agent@acme.com", "GET", `/v1/orgs/acme/tickets/${data[0].id}`);
  assert.equal(ticket.messages.at(-1).body, "Not yet.");

  // The token travelled in a header and in the part of the address that is sent to nobody.
  const sent = await Promise.all(requests.map(async (request) => ({ url: request.url(), headers: await request.allHeaders() })));
  assert.ok(sent.some(({ headers }) => headers["x-vicket-ticket"] === token), "the token was never used");
  for (const { url, headers } of sent) {
    assert.ok(!url.split("#")[0].includes("tk_"), url);
    assert.equal(headers.referer?.includes("tk_") ?? false, false, headers.referer);
  }
  assert.ok(world.log().includes('"path":"/support/v1/tickets/thread"'), "the log has no requests");
  assert.ok(!world.log().includes("tk_"), "a ticket's token is in the log");
  assert.ok(!world.log().includes("pk_"), "a key is in the log");
  assert.deepEqual([...page.said, ...other.said], []);
});

test("files go with a ticket and a reply, and come back as downloads", async () => {
  const page = await open(world.browser);
  await page.goto(`${home()}/#vicket-new`);
  await page.getByLabel("Your e-mail address").fill("ada@example.com");
  await page.getByLabel("Subject").fill("A picture");
  await page.getByLabel("Message").fill("See the file.");
  const markup = { name: "ünsafe \"page\".png", mimeType: "image/png", buffer: Buffer.from("<script>alert(1)</script>") };
  await page.getByLabel("Files (optional)").setInputFiles([{ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("What I did.") }, markup]);
  await page.getByRole("button", { name: "Send" }).click();
  await heading(page, "Thank you").waitFor();
  await page.getByRole("link", { name: "Open the ticket" }).click();
  await heading(page, "A picture").waitFor();
  await accessible(page, "thread with files");
  await picture(page, "support-thread-files");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /notes\.txt/ }).click()]);
  assert.equal(download.suggestedFilename(), "notes.txt");
  assert.equal(readFileSync(await download.path(), "utf8"), "What I did.");

  // What it says it is does not count: nothing of it runs, here or where it is fetched from.
  const [other] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /ünsafe/ }).click()]);
  assert.equal(readFileSync(await other.path(), "utf8"), "<script>alert(1)</script>");
  await page.getByLabel("Your reply").fill("And another.");
  await page.getByLabel("Files (optional)").setInputFiles({ name: "more.txt", mimeType: "text/plain", buffer: Buffer.from("More.") });
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.getByRole("button", { name: /more\.txt/ }).waitFor();

  // A file that is too large does not take the message with it.
  await page.getByLabel("Your reply").fill("A large one.");
  await page.getByLabel("Files (optional)").setInputFiles({ name: "large.bin", mimeType: "application/zip", buffer: Buffer.alloc(11 << 20, 1) });
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.getByText("Your message was sent, but not its files.").waitFor();
  await page.getByText("A large one.").waitFor();
});

test("of a long conversation the newest is shown, and what came before on demand", async () => {
  const page = await open(world.browser);
  const link = await submit(page, { subject: "A long story", message: "How it began." });
  const headers = { "X-Vicket-Key": world.site("acme-app").key, "X-Vicket-Ticket": link.match(/tk_[\w-]{43}$/)[0], "Content-Type": "application/json" };
  for (let n = 1; n <= 60; n += 1) {
    const body = JSON.stringify({ body: `Part ${n} of it.` });
    const sent = await fetch(`${world.dev.base_url}/support/v1/tickets/thread/messages`, { method: "POST", headers, body });
    assert.equal(sent.status, 201);
  }
  await page.goto(link);
  await page.reload();
  await page.getByText("Part 60 of it.").waitFor();
  assert.equal(await page.getByText("Part 10 of it.").count(), 0);
  const earlier = page.getByRole("button", { name: "Earlier messages" });
  await accessible(page, "long-thread");
  await earlier.click();
  await page.getByText("How it began.").waitFor();
  assert.equal(await page.getByRole("list", { name: "Messages" }).getByRole("listitem").count(), 61);
  assert.equal(await earlier.isVisible(), false);
  await page.getByLabel("Your reply").fill("And how it ended.");
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.getByText("And how it ended.").first().waitFor();
  assert.equal(await page.getByRole("list", { name: "Messages" }).getByRole("listitem").count(), 62);
  await picture(page, "support-long-thread");
  assert.deepEqual(page.said, []);
});

test("what a person enters wrong is said beside its field and loses nothing", async () => {
  const page = await open(world.browser);
  await page.goto(`${home()}/#vicket-new`);
  await page.getByLabel("Your e-mail address").fill("ada@nowhere");
  await page.getByLabel("Subject").fill("Hello");
  await page.getByLabel("Message").fill("   ");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("alert").getByText("Please check what you entered.").waitFor();
  assert.equal(await page.getByLabel("Message").getAttribute("aria-invalid"), "true");
  assert.equal(await page.getByLabel("Subject").inputValue(), "Hello");
  await accessible(page, "form with errors");
  await picture(page, "support-form-errors");
});

test("a page of an origin that the site does not list is told why", async () => {
  const page = await open(world.browser);
  await page.goto(world.dev.pages.refused);
  await page.getByRole("alert").getByText("Support is not available on this page right now.").waitFor();
  await page.getByText(/origin_not_allowed: .*port/).waitFor();
  assert.ok(page.said.some((line) => line.startsWith("error: Vicket: ")), page.said.join("\n"));
  assert.equal(await page.getByText("Getting started").count(), 0);
  await accessible(page, "refused");
  await picture(page, "support-refused");
});

test("a double click, and a lost answer, make one ticket", async () => {
  const page = await open(world.browser);
  await page.goto(`${home()}/#vicket-new`);
  await page.getByLabel("Your e-mail address").fill("ada@example.com");
  await page.getByLabel("Subject").fill("Only once, please");
  await page.getByLabel("Message").fill("Once.");
  // The first answer is lost on its way.
  let posts = 0;
  await page.route("**/support/v1/tickets", async (route) => {
    if (route.request().method() === "POST") posts += 1;
    if (posts !== 1) return route.continue();
    await route.fetch();
    return route.abort("connectionreset");
  });
  await page.getByRole("button", { name: "Send" }).dblclick();
  await heading(page, "Thank you").waitFor();
  assert.equal(posts, 2);
  const { data } = await world.agent("agent@acme.com", "GET", "/v1/orgs/acme/tickets?q=Only+once");
  assert.equal(data.length, 1);
});

test("on a slow network the page says that it loads, and arrives", async () => {
  const page = await open(world.browser);
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  const be = (offline, latency = 0) =>
    network.send("Network.emulateNetworkConditions", { offline, latency, downloadThroughput: 20_000, uploadThroughput: 20_000 });
  await be(false, 1500);
  await page.goto(home());
  await page.getByRole("status").getByText("Loading…").waitFor();
  await heading(page, /Acme App/).waitFor();

  // Without any network a person is told so, and the page goes on when it is back.
  await be(true);
  await page.getByRole("link", { name: /Getting started/ }).click();
  await page.getByRole("alert").getByText("check your connection").waitFor();
  await be(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await heading(page, "Getting started").waitFor();
});

test("a long list grows once a click, and a search takes its place", async () => {
  for (let i = 0; i < 25; i += 1) {
    const article = { title: `Numbered ${i}`, slug: `numbered-${i}`, body_markdown: "One of many.", site: "acme-app" };
    const { id } = await world.agent("owner@acme.com", "POST", "/v1/orgs/acme/articles", article);
    await world.agent("owner@acme.com", "POST", `/v1/orgs/acme/articles/${id}/publish`);
  }
  const page = await open(world.browser);
  await page.goto(home());
  await heading(page, /Acme App/).waitFor();
  const rows = page.getByRole("listitem");
  assert.equal(await rows.count(), 20);
  const more = page.getByRole("button", { name: "Show more articles" });
  await more.dblclick();
  await page.getByRole("link", { name: /Getting started/ }).waitFor();
  assert.equal(await more.isVisible(), false);
  const titles = await rows.allTextContents();
  assert.equal(new Set(titles).size, titles.length, "a row is there twice");

  // A page of the old list that is late does not mix with what was found.
  await page.reload();
  await more.waitFor();
  await page.route(/cursor=/, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await route.continue().catch(() => {});
  });
  await more.click();
  await page.getByLabel("Search the help center").fill("export");
  await page.getByText("1 found.").waitFor();
  await page.waitForTimeout(2000);
  assert.equal(await rows.count(), 1);

  // A search that failed can be made again, and what was there stays.
  await page.context().setOffline(true);
  await page.getByLabel("Search the help center").fill("keyboard");
  await page.getByRole("alert").getByText("check your connection").waitFor();
  await page.context().setOffline(false);
  await page.getByLabel("Search the help center").press("Enter");
  await page.getByRole("link", { name: /Keyboard shortcuts/ }).waitFor();
  // It is there after a look at an article.
  await page.getByRole("link", { name: /Keyboard shortcuts/ }).click();
  await heading(page, "Keyboard shortcuts").waitFor();
  await page.goBack();
  await heading(page, /Acme App/).waitFor();
  assert.equal(await page.getByLabel("Search the help center").inputValue(), "keyboard");
  assert.equal(await rows.count(), 1);
});

test("a ticket's address is not lost by a reload, nor by leaving while it is sent", async () => {
  const page = await open(world.browser);
  await submit(page, { subject: "Reloaded" });
  await page.reload();
  await heading(page, "Reloaded").waitFor();

  await page.goto(`${home()}/#vicket-new`);
  await page.getByLabel("Your e-mail address").fill("ada@example.com");
  await page.getByLabel("Subject").fill("Left early");
  await page.getByLabel("Message").fill("Please help.");
  await page.route("**/support/v1/tickets", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 800));
    await route.continue();
  });
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("link", { name: "All help" }).click();
  await heading(page, "Thank you").waitFor();
  await page.waitForTimeout(500);
  assert.match(page.url(), /#vicket-ticket=tk_/);
  await heading(page, "Thank you").waitFor();
});

test("what a person began to write is there when they come back", async () => {
  const page = await open(world.browser);
  await page.goto(`${home()}/#pricing`);
  await page.getByRole("link", { name: "Write to us" }).click();
  await page.getByLabel("Message").fill("Half a");
  // Another part of the page, and the element itself somewhere else in it.
  await page.evaluate(() => (location.hash = "#imprint"));
  await page.evaluate(() => document.body.append(document.querySelector("vicket-support")));
  assert.equal(await page.getByLabel("Message").inputValue(), "Half a");
  await page.goBack();
  await page.goBack();
  await heading(page, /Acme App/).waitFor();
  await page.goForward();
  await heading(page, /Write to/).waitFor();
  assert.equal(await page.getByLabel("Message").inputValue(), "Half a");

  const link = await submit(page, { subject: "Slow reply" });
  await page.goto(link);
  await page.reload();
  await page.getByLabel("Your reply").fill("First.");
  await page.route("**/messages", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 800));
    await route.continue();
  });
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.getByLabel("Your reply").fill("Second, written meanwhile");
  await page.getByText("Your reply was sent.").waitFor();
  assert.equal(await page.getByLabel("Your reply").inputValue(), "Second, written meanwhile");
});

test("a draft survives a reload, in its tab alone, until it is sent", async () => {
  const page = await open(world.browser);
  await page.goto(`${home()}/#vicket-new`);
  await page.getByLabel("What is it about?").selectOption({ label: "Something is broken" });
  await page.getByLabel("Subject").fill("Half a subject");
  await page.getByLabel("How bad is it?").selectOption({ label: "I cannot work" });
  await page.getByText("Up to 10 files of 10.5 MB each").waitFor();
  await page.reload();
  await heading(page, /Write to/).waitFor();
  assert.equal(await page.getByLabel("Subject").inputValue(), "Half a subject");
  assert.equal(await page.getByLabel("How bad is it?").locator("option:checked").textContent(), "I cannot work");
  const link = await submit(page, { subject: "A whole one" });
  await page.goto(`${home()}/#vicket-new`);
  await page.reload();
  await heading(page, /Write to/).waitFor();
  assert.equal(await page.getByLabel("Subject").inputValue(), "");
  await page.goto(link);
  await page.getByLabel("Your reply").fill("Half a reply");
  await page.reload();
  await page.getByLabel("Your reply").waitFor();
  assert.equal(await page.getByLabel("Your reply").inputValue(), "Half a reply");
  assert.deepEqual(page.said, []);
});

test("an agent's answer is shown as they formatted it, a customer's text as it is, and either from its own side", async () => {
  const page = await open(world.browser);
  const link = await submit(page, { subject: "Formatted", message: "# not a heading\n*not* bold, https://a.example/x_y?z=1." });
  const { data } = await world.agent("agent@acme.com", "GET", "/v1/orgs/acme/tickets?q=Formatted");
  const body = "# Steps\n\nTry **this**:\n\n1. open\n2. close\n\n```\nvicket audit\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nשלום עולם\nhttps://b.example <script>alert(1)</script>";
  await world.agent("agent@acme.com", "POST", `/v1/orgs/acme/tickets/${data[0].id}/messages`, { body, internal: false });
  await page.goto(link);
  await page.reload();
  const answer = page.getByRole("listitem").filter({ hasText: "Steps" }).first();
  await answer.getByText("this", { exact: true }).waitFor();
  assert.equal(await answer.locator("strong").filter({ hasText: /^this$/ }).count(), 1);
  assert.equal(await answer.locator("ol > li").count(), 2);
  assert.equal(await answer.locator("pre code").textContent(), "vicket audit\n");
  assert.equal(await answer.locator("td").count(), 2);
  assert.deepEqual(await answer.locator("a").evaluateAll((links) => links.map((link) => [link.href, link.target, link.rel])), [["https://b.example/", "_blank", "noopener noreferrer nofollow"]]);
  assert.ok((await answer.textContent()).includes("<script>alert(1)</script>"));
  assert.equal(await answer.locator("p", { hasText: "שלום" }).evaluate((block) => getComputedStyle(block).direction), "rtl");
  const own = page.getByRole("listitem").filter({ hasText: "not a heading" }).first();
  assert.ok((await own.innerText()).includes("# not a heading\n*not* bold, https://a.example/x_y?z=1."), await own.innerText());
  assert.deepEqual(await own.locator("a").evaluateAll((links) => links.map((link) => link.href)), ["https://a.example/x_y?z=1"]);
  assert.equal(await page.locator("vicket-support").locator("h1").count(), 1);
  await accessible(page, "formatted");
  await picture(page, "support-formatted");
  assert.deepEqual(page.said, []);
});

test("everything is reached by keyboard", async () => {
  const page = await open(world.browser);
  await page.goto(home());
  await heading(page, /Acme App/).waitFor();
  const focused = () =>
    page.evaluate(() => {
      const element = document.querySelector("vicket-support").shadowRoot.activeElement;
      return element && `${element.localName} ${element.id || element.textContent}`;
    });
  const tabTo = async (wanted) => {
    for (let i = 0; i < 30; i += 1) {
      await page.keyboard.press("Tab");
      if (wanted.test((await focused()) ?? "")) return;
    }
    assert.fail(`${wanted} was not reached`);
  };
  await tabTo(/^input q/);
  await page.keyboard.type("export");
  await page.keyboard.press("Enter");
  await page.getByText("1 found.").waitFor();
  await tabTo(/Export your data/);
  await page.keyboard.press("Enter");
  await heading(page, "Export your data").waitFor();
  assert.match(await focused(), /^h1/, "focus did not follow to the article");
  await tabTo(/^a Write to us/);
  await page.keyboard.press("Enter");
  await heading(page, /Write to/).waitFor();
  for (const [field, text] of [["email", "ada@example.com"], ["subject", "By keyboard"], ["message", "No mouse."]]) {
    await tabTo(new RegExp(`^(input|textarea) ${field}`));
    await page.keyboard.type(text);
  }
  await tabTo(/^button Send/);
  await page.keyboard.press("Enter");
  await heading(page, "Thank you").waitFor();
  assert.match(await focused(), /^h1/);
  await tabTo(/^a Open the ticket/);
  await page.keyboard.press("Enter");
  await heading(page, "By keyboard").waitFor();
  await tabTo(/^textarea body/);
  await page.keyboard.type("Still no mouse.");
  await tabTo(/^button Send reply/);
  await page.keyboard.press("Space");
  await page.getByText("Your reply was sent.").waitFor();
});

test("it can be read in the dark and on a phone", async () => {
  const page = await open(world.browser, { colorScheme: "dark", viewport: { width: 360, height: 740 } });
  for (const [name, fragment] of [["home", ""], ["form", "#vicket-new"], ["article", "#vicket-article=getting-started"]]) {
    await page.goto("about:blank");
    await page.goto(`${home()}/${fragment}`);
    await heading(page, /./).waitFor();
    await accessible(page, `${name}, dark`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false, `${name} scrolls sideways`);
    await picture(page, `support-${name}-dark-phone`);
  }
  // Nor does what a customer writes without a space.
  await submit(page, { subject: "x".repeat(199), message: "y".repeat(3000) });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, "thanks scrolls sideways");
  await page.getByRole("link", { name: "Open the ticket" }).click();
  await heading(page, /xxx/).waitFor();
  await accessible(page, "thread, dark");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, "the thread scrolls sideways");
});

test("a page that has the next key goes on when the other one was rotated away", async () => {
  const page = await open(world.browser);
  const site = world.site("acme-app");
  const staged = world.command("key", "stage", "acme/acme-app");
  await page.goto(home());
  await page.evaluate((staged) => {
    const element = document.querySelector("vicket-support").cloneNode();
    element.setAttribute("next-key", staged);
    document.querySelector("vicket-support").replaceWith(element);
  }, staged);
  await heading(page, /Acme App/).waitFor();
  world.command("key", "rotate", "acme/acme-app");
  await page.getByRole("listitem").first().getByRole("link").click();
  await page.getByText("Did this not help?").waitFor();

  // A page that was not deployed in time says so to the customer, and why to the developer.
  const late = await open(world.browser);
  await late.goto(home());
  await late.getByRole("alert").getByText("Support is not available on this page right now.").waitFor();
  await late.getByText("key_invalid").waitFor();
  site.key = staged;
});
