// The dashboard as people use it, in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, dashboard, open, picture, quiet, start } from "./harness.mjs";

let server, as, at, who;
before(async () => {
  server = await start("--rate-limits", "off");
  ({ as, at, who } = dashboard(server));
}, { timeout: 120_000 });
after(() => server?.stop());

async function submit(fields) {
  const site = server.site("acme-app");
  const body = { email: "ada@example.com", name: "Ada Lovelace", subject: "The export never arrives", message: "Nothing came.", ...fields };
  const headers = { "Content-Type": "application/json", "X-Vicket-Key": site.key };
  const answer = await fetch(`${server.dev.base_url}/support/v1/tickets`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 201);
  return answer.json();
}

test("a wrong password says so beside the form, and keeps the address", async () => {
  const page = await open(server.browser);
  await page.goto(at("acme/inbox"));
  await accessible(page, "log-in");
  await picture(page, "dashboard-login");
  await page.getByLabel("E-mail").fill("nobody@example.com");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("E-mail").inputValue(), "nobody@example.com");
  await page.context().close();
});

test("a key is created, staged, rotated and revoked; each is shown once", async () => {
  const page = await as(who("owner"));
  await page.goto(at("acme/sites/acme-marketing/key"));
  await accessible(page, "key");
  await picture(page, "dashboard-key");
  await page.getByText("Revoke", { exact: true }).click();
  await page.getByLabel("I am sure").locator("visible=true").check();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("No key").waitFor();
  await page.getByRole("button", { name: "Create key" }).click();
  const key = await page.locator("#key").textContent();
  assert.match(key, /^pk_[\w-]{43}$/);
  assert.equal(await page.locator("#vite").textContent(), `VITE_VICKET_KEY=${key}`);
  await accessible(page, "reveal");
  // Not the key itself: a picture is kept.
  await page.evaluate(() => document.querySelectorAll("code").forEach((code) => { code.textContent = code.textContent.replace(/pk_.*/, "pk_SHOWN_ONCE"); }));
  await picture(page, "dashboard-key-reveal");
  assert.ok(!page.url().includes(key));
  await page.reload();
  assert.ok(!(await page.content()).includes(key), "after a reload");
  await page.goto(at("acme/sites"));
  await page.goBack();
  assert.ok(!(await page.content()).includes(key), "on the way back");
  await page.goto(at("acme/sites/acme-marketing/key"));
  await page.getByRole("button", { name: "Stage the next key" }).click();
  const staged = await page.locator("#key").textContent();
  await page.getByRole("button", { name: "Done" }).click();
  assert.equal(await page.locator("#key").count(), 1, "the gate holds until it is ticked");
  await page.getByLabel("I have stored it").check();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { name: /Staged key/ }).waitFor();
  await page.getByText("Rotate", { exact: true }).click();
  await page.getByLabel("I am sure").locator("visible=true").check();
  await page.getByRole("button", { name: "Rotate key" }).click();
  await page.getByText("the old one no longer works").waitFor();
  const works = async (key) => (await fetch(`${server.dev.base_url}/support/v1/site`, { headers: { "X-Vicket-Key": key } })).status;
  assert.deepEqual([await works(key), await works(staged)], [401, 200]);
  quiet(page);
  await page.context().close();
});

test("an origin that is refused says why, and one that tried is allowed with a click", async () => {
  const page = await as(who("admin"));
  await fetch(`${server.dev.base_url}/support/v1/site`, { headers: { "X-Vicket-Key": server.site("acme-app").key, Origin: "https://staging.acme.com" } });
  await page.goto(at("acme/sites/acme-app"));
  await page.getByLabel("Origin", { exact: true }).fill("https://*.acme.com");
  await page.getByRole("button", { name: "Add origin" }).click();
  await page.locator("#origin[aria-invalid=true]").waitFor();
  assert.equal(await page.getByLabel("Origin", { exact: true }).inputValue(), "https://*.acme.com");
  await accessible(page, "site");
  await picture(page, "dashboard-site");
  const allow = page.getByRole("button", { name: "Allow https://staging.acme.com" });
  for (let tries = 0; tries < 20 && !(await allow.count()); tries += 1) {
    await page.waitForTimeout(500);
    await page.goto(at("acme/sites/acme-app"));
  }
  await allow.click();
  await page.getByRole("button", { name: "Remove https://staging.acme.com" }).waitFor();
  await page.getByLabel("Address of your page").fill("https://staging.acme.com:8443");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByText("It differs from the nearest listed one in the port").waitFor();
  quiet(page);
  await page.context().close();
});

test("a ticket that comes between the page and its stream is not missed", async () => {
  const page = await as(who("agent"));
  let listening;
  const asked = new Promise((resolve) => (listening = resolve));
  await page.route("**/events", async (route) => {
    listening();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await route.continue();
  });
  await page.goto(at("acme/inbox"));
  await asked;
  await submit({ subject: "In between" });
  await page.getByText("In between").waitFor();
});

test("a ticket arrives without a reload, is read by keyboard, noted, answered and resolved", async () => {
  const page = await as(who("agent"));
  await page.goto(at("acme/inbox"));
  const made = await submit({ subject: "A printer on fire" });
  await page.getByText("A printer on fire").waitFor();
  await accessible(page, "inbox");
  await picture(page, "dashboard-inbox");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "A printer on fire" }).waitFor();
  await page.keyboard.press("n");
  await page.getByLabel("Note", { exact: true }).fill("Tell nobody.");
  await page.getByRole("button", { name: "Add note" }).click();
  await page.locator(".message.note", { hasText: "Tell nobody." }).waitFor();
  await page.keyboard.press("r");
  await page.keyboard.type("It is on its way.");
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.locator(".message.agent", { hasText: "on its way" }).waitFor();
  const headers = { "Content-Type": "application/json", "X-Vicket-Key": server.site("acme-app").key, "X-Vicket-Ticket": made.token };
  const thread = await (await fetch(`${server.dev.base_url}/support/v1/tickets/thread`, { headers })).text();
  assert.ok(thread.includes("on its way") && !thread.includes("Tell nobody"));
  // What is being typed survives the customer's next message.
  await page.getByLabel("Reply to the customer").fill("I was about to");
  await fetch(`${server.dev.base_url}/support/v1/tickets/thread/messages`, { method: "POST", headers, body: JSON.stringify({ body: "It is out now." }) });
  await page.locator(".message", { hasText: "It is out now." }).waitFor();
  assert.equal(await page.getByLabel("Reply to the customer").inputValue(), "I was about to");
  await accessible(page, "ticket");
  await picture(page, "dashboard-ticket");
  await page.getByRole("heading", { level: 1 }).click();
  await page.keyboard.press("e");
  await page.getByText("changed the status from Open to Resolved").waitFor();
  quiet(page);
  await page.context().close();
});

test("what customers write stays text", async () => {
  const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"'</textarea>`;
  await submit({ name: evil, subject: evil, message: evil });
  const page = await as(who("agent"));
  await page.goto(at("acme/inbox"));
  await page.getByText("<img src=x").first().click();
  await page.locator(".message .body", { hasText: "<script>" }).waitFor();
  assert.doesNotMatch(await page.title(), /^owned/);
  assert.equal(await page.locator("main img, main script").count(), 0);
  quiet(page);
  await page.context().close();
});

test("a saved reply is written once, and joins what is typed without a reload", async () => {
  const page = await as(who("agent"));
  await page.goto(at("acme/replies"));
  await page.getByLabel("Name").fill(`Shipping </option><script>document.title='owned'</script>`);
  await page.getByLabel("Text", { exact: true }).fill("Hi {customer}, {ticket} ships today.\n{agent}");
  await page.getByRole("button", { name: "Save reply" }).click();
  await page.getByText("Hi {customer}, {ticket} ships").waitFor();
  await accessible(page, "saved-replies");
  await picture(page, "dashboard-replies");
  await page.getByRole("link", { name: /^Shipping/ }).click();
  await page.getByText(/^Changed by/).waitFor();
  await accessible(page, "saved-reply");
  await picture(page, "dashboard-reply");

  await submit({ subject: "Where is it", name: "Ada Lovelace" });
  await page.goto(at("acme/inbox"));
  await page.getByText("Where is it").click();
  await page.getByLabel("Reply to the customer").fill("Dear all,");
  await page.getByLabel("Saved reply").selectOption({ index: 0 });
  await page.getByRole("button", { name: "Insert" }).click();
  await page.waitForFunction(() => document.getElementById("reply").value.includes("ships today"));
  assert.match(await page.getByLabel("Reply to the customer").inputValue(), /^Dear all,\n\nHi Ada Lovelace, [A-Z]{2,8}-\d+ ships today\.\n\S/);
  assert.equal(await page.locator(".message.agent").count(), 0, "nothing is sent");
  await accessible(page, "ticket-with-saved-replies");
  await picture(page, "dashboard-ticket-replies");
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.locator(".message.agent", { hasText: "ships today" }).waitFor();
  assert.doesNotMatch(await page.title(), /^owned/);
  quiet(page);
  await page.context().close();
});

test("what was searched for in vain shows on the start page, and from where a key was used on its own", async () => {
  const site = server.site("acme-app");
  const headers = { "X-Vicket-Key": site.key, Origin: site.origins[0] };
  const search = async () => (await fetch(`${server.dev.base_url}/support/v1/help/articles?q=Carrier%20pigeons`, { headers })).json();
  assert.deepEqual((await search()).data, []);
  const page = await as(who("owner"));
  const pigeons = page.getByText("carrier pigeons");
  for (let tries = 0; tries < 20 && !(await pigeons.count()); tries += 1) {
    await page.waitForTimeout(500);
    await page.goto(at("acme"));
  }
  await accessible(page, "start");
  await picture(page, "dashboard-start-searches");
  await page.goto(at("acme/sites/acme-app/key"));
  await page.locator("dd", { hasText: site.origins[0] }).waitFor();
  await picture(page, "dashboard-key-used");
  await page.context().close();
});

test("tickets are searched, filtered, prioritised and assigned; the log is filtered", async () => {
  const page = await as(who("admin"));
  await submit({ subject: "Zebra crossing" });
  await page.goto(at("acme/inbox"));
  await page.keyboard.press("/");
  await page.keyboard.type("zebra");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=zebra/);
  assert.equal(await page.locator("[data-row]").count(), 1);
  await page.getByText("Zebra crossing").click();
  await page.getByRole("heading", { name: "Zebra crossing" }).waitFor();
  for (const [label, option] of [["Priority", "Urgent"], ["Assignee", "Agnes Agent"]]) {
    await page.getByLabel(label).selectOption({ label: option });
    await page.getByText("Saved.").waitFor();
    assert.equal(await page.getByLabel(label).locator("option:checked").textContent(), option);
    await page.goto(page.url().replace(/\?.*/, ""));
  }
  await page.getByText("changed the priority from Normal to Urgent").waitFor();
  await page.getByText(`assigned it to ${who("agent")}`).waitFor();
  await page.goto(at("acme/inbox"));
  const rows = async (filters) => {
    for (const [label, option] of filters) await page.getByLabel(label, { exact: true }).selectOption({ label: option });
    const shown = page.waitForResponse((answer) => answer.url().includes("inbox?"));
    await page.getByRole("button", { name: "Filter" }).click();
    await shown;
    await page.waitForTimeout(200);
    return page.locator("[data-row] .subject").allTextContents();
  };
  assert.deepEqual(await rows([["Priority", "Urgent"]]), ["Zebra crossing"]);
  assert.deepEqual(await rows([["Assignee", "Agnes Agent"]]), ["Zebra crossing"]);
  assert.deepEqual(await rows([["Assignee", "Unassigned"]]), []);
  await page.goto(at("acme/audit"));
  await page.getByLabel("What", { exact: true }).selectOption("status");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL(/kind=status/);
  const kinds = await page.locator(".log .kind").allTextContents();
  assert.ok(kinds.length > 0 && kinds.every((kind) => kind === "status"), kinds.join());
  await page.getByLabel("Who", { exact: true }).fill("nobody@acme.com");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByText("No entries match.").waitFor();
  quiet(page);
  await page.context().close();
});

test("a site's limits hold from the next request on, and a staged key can be dropped", async () => {
  const page = await as(who("owner"));
  await page.goto(at("acme/sites/acme-marketing"));
  await page.getByLabel("Reads of the site").fill("-5");
  await page.getByRole("button", { name: "Save limits" }).click();
  await page.locator("[aria-invalid=true]").waitFor();
  await page.getByLabel("Reads of the site").fill("4321");
  await page.getByRole("button", { name: "Save limits" }).click();
  await page.getByText("Saved.").waitFor();
  assert.equal(await page.getByLabel("Reads of the site").inputValue(), "4321");
  await page.goto(at("acme/sites/acme-app/key"));
  await page.getByRole("button", { name: "Stage the next key" }).click();
  const staged = await page.locator("#key").textContent();
  const use = async () => (await fetch(`${server.dev.base_url}/support/v1/site`, { headers: { "X-Vicket-Key": staged } })).status;
  assert.equal(await use(), 200);
  await page.goto(at("acme/sites/acme-app/key"));
  await page.getByRole("button", { name: "Drop the staged key" }).click();
  await page.getByText("Revoked.").waitFor();
  assert.equal(await use(), 401);
  quiet(page);
  await page.context().close();
});

test("a viewer reads and is offered nothing else; another org sees none of it", async () => {
  const page = await as(who("viewer"));
  await page.goto(at("acme/inbox"));
  await page.locator("[data-row]").first().click();
  await page.locator(".message").first().waitFor();
  assert.equal(await page.getByRole("button").count(), 1, "only the way out");
  await page.goto(at("acme/sites/acme-app"));
  assert.equal(await page.getByRole("button", { name: /Add|Remove|Save|Allow/ }).count(), 0);
  await page.context().close();
  const rival = await as(who("owner", "globex"));
  assert.equal((await rival.goto(at("acme/inbox"))).status(), 404);
  await rival.goto(at("globex/inbox?status=any"));
  assert.equal(await rival.getByText("A printer on fire").count(), 0);
  await rival.getByRole("button", { name: "Log out" }).click();
  await rival.getByLabel("E-mail").waitFor();
  await rival.context().close();
});

test("an article is written with a preview, published and taken back; FAQs are put in order", async () => {
  const page = await as(who("admin"));
  await page.goto(at("acme/help"));
  await picture(page, "dashboard-help");
  await page.getByRole("link", { name: "New article" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator("#title[aria-invalid=true]").waitFor();
  await page.getByLabel("Title").fill("How to stage a key");
  await page.getByLabel("Website").selectOption({ label: "Acme App" });
  await page.getByLabel("Text, in Markdown").fill("## First\n\nIt is **bold**.<script>document.title='owned'</script>");
  await page.locator("#preview strong", { hasText: "bold" }).waitFor();
  assert.equal(await page.locator("#preview script").count(), 0);
  await accessible(page, "editor");
  await picture(page, "dashboard-editor");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText("Published.").waitFor();
  const headers = { "X-Vicket-Key": server.site("acme-app").key };
  const read = async () => (await fetch(`${server.dev.base_url}/support/v1/help/articles/how-to-stage-a-key`, { headers })).status;
  assert.equal(await read(), 200);
  // What is typed is asked about before a link takes it away.
  const asked = [];
  page.once("dialog", (dialog) => (asked.push(dialog.type()), dialog.dismiss()));
  await page.getByLabel("Text, in Markdown").fill("Half a thought");
  await page.getByRole("link", { name: "Help center" }).first().click({ noWaitAfter: true });
  await page.waitForTimeout(300);
  assert.deepEqual(asked, ["beforeunload"]);
  assert.equal(await page.getByLabel("Text, in Markdown").inputValue(), "Half a thought");
  await page.getByLabel("Text, in Markdown").fill("It is **bold**.");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByRole("button", { name: "Back to drafts" }).click();
  await page.getByText("Moved back").waitFor();
  assert.equal(await read(), 404);
  await page.goto(at("acme/help?kind=faqs"));
  for (const question of ["Order one", "Order two"]) {
    await page.getByRole("link", { name: "New FAQ" }).click();
    await page.getByLabel("Question").fill(question);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Saved.").waitFor();
    await page.goto(at("acme/help?kind=faqs"));
  }
  await page.getByRole("button", { name: "Move up: Order two" }).press("Enter");
  await page.getByText(/^Order two: now/).waitFor({ state: "attached" });
  const titles = await page.locator(".grow strong").allTextContents();
  assert.ok(titles.indexOf("Order two") < titles.indexOf("Order one"), titles.join());
  await accessible(page, "FAQs");
  quiet(page);
  await page.context().close();
});

test("somebody is invited, joins, gets another role and is removed; the log has it", async () => {
  const page = await as(who("owner"));
  await page.goto(at("acme/members"));
  await page.getByLabel("E-mail").fill("new@acme.com");
  await page.getByRole("button", { name: "Invite" }).click();
  const link = await page.locator("#link").textContent();
  await page.reload();
  assert.ok(!(await page.content()).includes(link));
  const guest = await open(server.browser);
  await guest.goto(link);
  await guest.getByLabel("Name").fill("Nora New");
  await guest.getByLabel("Password").fill("correct horse battery staple");
  await guest.getByRole("button", { name: "Join" }).click();
  await guest.getByRole("link", { name: "Open the dashboard" }).click();
  await guest.waitForURL(/dashboard\/acme/);
  await page.goto(at("acme/members"));
  await page.getByLabel("Role of Nora New").selectOption("viewer");
  await page.getByText("Saved.").waitFor();
  await accessible(page, "members");
  await picture(page, "dashboard-members");
  const row = page.getByRole("listitem").filter({ hasText: "Nora New" });
  await row.getByText("Remove", { exact: true }).click();
  await row.getByLabel("I am sure").check();
  await row.getByRole("button", { name: "Remove Nora New" }).click();
  await page.getByText("Saved.").waitFor();
  assert.equal((await guest.goto(at("acme/inbox"))).status(), 404);
  await page.goto(at("acme/audit?kind=member"));
  await page.locator(".log li", { hasText: "deleted member" }).first().waitFor();
  await accessible(page, "audit log");
  await picture(page, "dashboard-audit");
  await page.goto(at("acme"));
  await accessible(page, "start");
  await picture(page, "dashboard-start");
  quiet(page);
  await guest.context().close();
  await page.context().close();
});

test("phones and the dark: nothing sticks out, everything can be read", async () => {
  const { data } = await server.agent(who("owner"), "GET", "/v1/orgs/acme/tickets?limit=1");
  const ticket = `inbox/${data[0].id}`;
  for (const colorScheme of ["light", "dark"]) {
    const page = await as(who("owner"), { viewport: { width: 375, height: 740 }, colorScheme });
    for (const path of ["", "inbox", "help", "help/articles/new", "sites", "sites/acme-app", "sites/acme-app/key", "members", "audit", "replies", ticket]) {
      await page.goto(at(`acme/${path}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      const out = await page.evaluate(() => [...document.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > 375.5).map((one) => `${one.tagName}.${one.className} ${one.getBoundingClientRect().right}`)); assert.ok(wide <= 375, `${path}: ${wide} ${out.join(", ")}`);
      await accessible(page, `${path}, ${colorScheme}`);
      await picture(page, `dashboard-phone-${colorScheme}-${(path === ticket ? "ticket" : path || "start").replaceAll("/", "-")}`);
    }
    await page.context().close();
  }
});

test("without JavaScript everything is there", async () => {
  const page = await as(who("agent"), { javaScriptEnabled: false });
  await submit({ subject: "No scripts" });
  await page.goto(at("acme/inbox"));
  await page.getByText("No scripts").click();
  await page.getByLabel("Status").selectOption({ label: "Pending" });
  await page.getByRole("button", { name: "Set" }).first().click();
  await page.getByText("changed the status from Open to Pending").waitFor();
  // The saved reply of the test above.
  await page.getByLabel("Reply to the customer").fill("Dear all,");
  await page.getByRole("button", { name: "Insert" }).click();
  assert.match(await page.getByLabel("Reply to the customer").inputValue(), /^Dear all,\n\nHi .* ships today/);
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.locator(".message.agent", { hasText: "ships today" }).waitFor();
  await page.context().close();
});

// The last: of two orgs, they are sent to neither after a log-in.
test("somebody of two orgs goes from one to the other", async () => {
  const email = who("owner", "globex");
  const inviter = await as(who("owner"));
  await inviter.goto(at("acme/members"));
  await inviter.getByLabel("E-mail").fill(email);
  await inviter.getByRole("button", { name: "Invite" }).click();
  const link = await inviter.locator("#link").textContent();
  const page = await as(email);
  assert.match(page.url(), /globex/);
  await page.goto(link);
  await page.getByLabel("Name").fill("Gus");
  // By the password of their account: another one would be good in that org alone, as nothing proves whose the link is.
  await page.getByLabel("Password").fill(server.user(email).password);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("link", { name: "Open the dashboard" }).click();
  // Nobody is sent to one of several: they choose.
  await page.getByRole("heading", { name: "Your orgs" }).waitFor();
  await page.getByRole("link", { name: "Globex" }).click();
  await page.getByLabel(/^Org: Globex/).click();
  await page.getByRole("link", { name: "Acme", exact: true }).click();
  await page.waitForURL(/dashboard\/acme$/);
  await page.getByLabel(/^Org: Acme/).waitFor();
  await inviter.context().close();
  await page.context().close();
});
