// The desk: tickets without page loads, and what somebody typed, which nothing may lose or send twice.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, dashboard, picture, start } from "./harness.mjs";

let server, as, at, who;
before(async () => {
  server = await start("--rate-limits", "off");
  ({ as, at, who } = dashboard(server));
}, { timeout: 120_000 });
after(() => server?.stop());

/** A ticket of this subject, and what its customer reads and writes of it. */
async function submit(subject) {
  const site = server.site("acme-app");
  const headers = { "Content-Type": "application/json", "X-Vicket-Key": site.key };
  const ask = (path, extra, body) =>
    fetch(`${server.dev.base_url}/support/v1/tickets${path}`, { method: body ? "POST" : "GET", headers: { ...headers, ...extra }, body: body && JSON.stringify(body) });
  const answer = await ask("", {}, { email: "ada@example.com", name: "Ada Lovelace", subject, message: "Please help." });
  assert.equal(answer.status, 201);
  const made = await answer.json();
  const token = { "X-Vicket-Ticket": made.token };
  return {
    id: made.id,
    said: async () => (await (await ask("/thread", token)).json()).messages.map(({ body }) => body),
    status: async () => (await (await ask("/thread", token)).json()).ticket?.status,
    write: (body) => ask("/thread/messages", token, { body }),
  };
}
const reply = (page) => page.getByLabel("Reply to the customer");
/** Counts loads of whole pages from now on. */
async function loads(page) {
  let count = 0;
  page.on("request", (request) => (count += request.isNavigationRequest() ? 1 : 0));
  return () => count;
}

test("from the list a ticket is answered and resolved with four keys, without a page load", async () => {
  const ticket = await submit("Four keys");
  const page = await as(who("agent"));
  await page.goto(at("acme/inbox"));
  await page.getByText("Four keys").waitFor();
  const loaded = await loads(page);
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Four keys" }).waitFor();
  await page.keyboard.press("r");
  await page.keyboard.type("Done.");
  await page.keyboard.press("Control+Shift+Enter");
  await page.getByText("Sent and resolved.").waitFor();
  await page.getByText("to Resolved").waitFor();
  assert.deepEqual(await ticket.said(), ["Please help.", "Done."]);
  assert.equal(await reply(page).inputValue(), "");
  await page.keyboard.press("Escape");
  await page.keyboard.press("u");
  await page.getByRole("heading", { name: "Inbox", exact: true }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Four keys" }).waitFor();
  assert.equal(loaded(), 0);
  await page.context().close();
});

test("an answer can be taken back for five seconds, and goes out when its page goes away", async () => {
  const ticket = await submit("Taken back");
  const page = await as(who("agent"));
  await page.goto(at(`acme/inbox/${ticket.id}`));
  await reply(page).fill("Too early");
  await page.getByRole("button", { name: "Send reply" }).click();
  assert.ok(await page.getByRole("button", { name: "Send reply" }).isDisabled());
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await reply(page).inputValue(), "Too early");
  await page.waitForTimeout(5500);
  assert.deepEqual(await ticket.said(), ["Please help."]);
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.goto(at("acme"));
  for (let tries = 0; tries < 20 && (await ticket.said()).length < 2; tries += 1) await page.waitForTimeout(100);
  assert.deepEqual(await ticket.said(), ["Please help.", "Too early"]);
  await page.context().close();
});

test("what is typed survives changes of the ticket, a reload, no connection and an ended session, and is sent once", async () => {
  const ticket = await submit("Kept");
  const page = await as(who("agent"));
  await page.goto(at(`acme/inbox/${ticket.id}`));
  await reply(page).fill("A long answer");
  await page.getByLabel("Priority").selectOption("Urgent");
  await page.getByText("to Urgent").waitFor();
  await page.getByRole("button", { name: "Assign to me" }).click();
  await page.getByText("assigned it to").waitFor();
  assert.equal(await reply(page).inputValue(), "A long answer");
  await page.reload();
  assert.equal(await reply(page).inputValue(), "A long answer");

  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.getByText("Not sent: no connection").waitFor();
  assert.equal(await reply(page).inputValue(), "A long answer");
  await page.context().setOffline(false);

  await page.context().clearCookies();
  await page.getByRole("button", { name: "Send again" }).click();
  const dialog = page.getByRole("dialog", { name: "Log in again" });
  await dialog.getByLabel("E-mail").fill(who("agent"));
  await accessible(page, "log in again");
  await dialog.getByLabel("Password").fill("not the password");
  await dialog.getByRole("button", { name: "Log in" }).click();
  await dialog.getByText(/do not match|wrong|not/i).first().waitFor();
  await dialog.getByLabel("Password").fill(server.user(who("agent")).password);
  await dialog.getByRole("button", { name: "Log in" }).click();
  await page.locator(".message.agent", { hasText: "A long answer" }).waitFor();
  assert.deepEqual(await ticket.said(), ["Please help.", "A long answer"]);
  assert.equal(await reply(page).inputValue(), "");

  // Nobody finds it here after the log-out.
  await reply(page).fill("Secret");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("E-mail").waitFor();
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("vicket-draft"))), []);
  await page.context().close();
});

test("the palette goes anywhere, and keys of one letter can be switched off", async () => {
  const ticket = await submit("Palette");
  const page = await as(who("agent"));
  await page.goto(at(`acme/inbox/${ticket.id}`));
  await page.keyboard.press("Control+k");
  await page.keyboard.type("prio urg");
  await accessible(page, "palette");
  await picture(page, "dashboard-palette");
  await page.keyboard.press("Enter");
  await page.getByText("to Urgent").waitFor();
  await page.getByRole("heading", { level: 1 }).focus();
  await page.keyboard.press("?");
  await accessible(page, "keys");
  await page.getByLabel("Keys of one letter work").uncheck();
  await page.getByRole("button", { name: "Close" }).click();
  await page.keyboard.press("e");
  await page.keyboard.press("r");
  await page.waitForTimeout(300);
  assert.ok(!(await reply(page).evaluate((text) => text === document.activeElement)));
  assert.equal(await page.getByText("to Resolved").count(), 0);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("keys");
  await page.keyboard.press("Enter");
  await page.getByLabel("Keys of one letter work").check();
  await page.getByRole("button", { name: "Close" }).click();
  await page.keyboard.press("e");
  await page.getByText("to Resolved").waitFor();
  await page.context().close();
});

test("a long conversation opens at its end, and what arrives does not move what is written", async () => {
  const ticket = await submit("Long");
  for (let n = 0; n < 12; n += 1) assert.equal((await ticket.write(`Line ${n}\n\n${"and more\n".repeat(8)}`)).status, 201);
  const page = await as(who("agent"), { viewport: { width: 1440, height: 900 } });
  await page.goto(at(`acme/inbox/${ticket.id}`));
  await page.locator(".message").last().waitFor();
  assert.ok(await page.locator(".message").last().evaluate((message) => message.getBoundingClientRect().bottom <= innerHeight));
  await reply(page).fill("Being written");
  const box = () => reply(page).boundingBox();
  const before = await box();
  await ticket.write("And another");
  await page.locator(".message", { hasText: "And another" }).waitFor();
  assert.deepEqual(await box(), before);
  assert.ok(await page.locator(".message").last().evaluate((message) => message.getBoundingClientRect().bottom <= innerHeight), "still at the end");
  await picture(page, "dashboard-desk");
  await accessible(page, "desk");
  await page.context().close();
});

test("two people at one ticket see each other, and what is unread shows", async () => {
  const ticket = await submit("Two at once");
  const one = await as(who("agent"));
  const two = await as(who("admin"));
  await two.goto(at("acme/inbox"));
  const row = two.locator("li", { hasText: "Two at once" });
  await row.and(two.locator(".unread.waiting")).waitFor();
  await one.goto(at(`acme/inbox/${ticket.id}`));
  await one.locator(".message").waitFor();
  await two.goto(at(`acme/inbox/${ticket.id}`));
  await two.locator(".pane-head .here", { hasText: "Agnes Agent is here" }).waitFor();
  await one.getByLabel("Reply to the customer").fill("Let me see");
  for (let tries = 0; tries < 10 && !(await two.locator(".pane-head .here", { hasText: "is writing" }).count()); tries += 1) {
    await two.waitForTimeout(500);
    await two.reload();
  }
  await two.locator(".pane-head .here", { hasText: "Agnes Agent is writing" }).waitFor();
  await accessible(two, "two at a ticket");
  await two.goto(at("acme/inbox"));
  await row.waitFor();
  assert.ok(!(await row.getAttribute("class")).includes("unread"));
  await one.context().close();
  await two.context().close();
});

test("what is typed is on every device, and nothing is sent to a conversation that went on unseen", async () => {
  const ticket = await submit("Everywhere");
  const one = await as(who("agent"));
  await one.goto(at(`acme/inbox/${ticket.id}`));
  await one.getByLabel("Reply to the customer").fill("Begun at the desk");
  await one.waitForFunction(() => !Object.keys(localStorage).some((name) => name.startsWith("vicket-draft")));
  const phone = await as(who("agent"), { viewport: { width: 375, height: 740 } });
  await phone.goto(at(`acme/inbox/${ticket.id}`));
  assert.equal(await reply(phone).inputValue(), "Begun at the desk");
  await phone.context().close();
  const other = await as(who("admin"));
  await other.goto(at(`acme/inbox/${ticket.id}`));
  assert.equal(await reply(other).inputValue(), "", "a draft is its writer's alone");

  await reply(other).fill("I was faster");
  await other.getByRole("button", { name: "Send reply" }).click();
  await other.locator(".message.agent", { hasText: "I was faster" }).waitFor();
  await one.locator(".message.agent", { hasText: "I was faster" }).waitFor();
  await one.getByRole("button", { name: "Send reply" }).click();
  await one.getByRole("alert").filter({ hasText: "while you wrote" }).waitFor();
  await accessible(one, "answered meanwhile");
  await picture(one, "dashboard-answered-meanwhile");
  assert.equal(await reply(one).inputValue(), "Begun at the desk");
  assert.deepEqual(await ticket.said(), ["Please help.", "I was faster"]);
  await one.getByRole("button", { name: "Send reply" }).click();
  await one.locator(".message.agent", { hasText: "Begun at the desk" }).waitFor();
  assert.deepEqual(await ticket.said(), ["Please help.", "I was faster", "Begun at the desk"]);
  await one.reload();
  assert.equal(await reply(one).inputValue(), "");
  await one.context().close();
  await other.context().close();
});

test("an answer whose arrival nobody heard of is not sent twice", async () => {
  const ticket = await submit("Once");
  const page = await as(who("agent"));
  await page.goto(at(`acme/inbox/${ticket.id}`));
  await reply(page).fill("Only once");
  // It arrives, and its answer is lost on the way.
  await page.route("**/inbox/*", async (route) => {
    if (route.request().method() !== "POST" || !route.request().postData().includes("action=reply")) return route.continue();
    await route.fetch({ maxRedirects: 0 });
    await route.abort();
  });
  await page.getByRole("button", { name: "Send reply" }).click();
  await page.getByText("Not sent: no connection").waitFor();
  await page.unroute("**/inbox/*");
  await page.getByRole("button", { name: "Send again" }).click();
  await page.getByText("Sent.", { exact: true }).waitFor();
  assert.deepEqual(await ticket.said(), ["Please help.", "Only once"]);
  await page.context().close();
});

test("files are chosen, dropped and pasted, and go with the message", async () => {
  const ticket = await submit("Files");
  const page = await as(who("agent"));
  await page.goto(at(`acme/inbox/${ticket.id}`));
  await page.locator("#reply-files").setInputFiles([{ name: "invoice.txt", mimeType: "text/plain", buffer: Buffer.from("12 EUR") }]);
  await page.evaluate(() => {
    const give = (kind, name) => {
      const data = new DataTransfer();
      data.items.add(new File(["text"], name, { type: "text/plain" }));
      const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }) : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
      document.getElementById("reply").dispatchEvent(event);
    };
    give("drop", "dropped.txt");
    give("paste", "pasted.txt");
  });
  await page.getByText("invoice.txt, dropped.txt, pasted.txt").waitFor();
  await accessible(page, "files");
  await picture(page, "dashboard-files");
  await reply(page).fill("Here they are");
  await page.getByRole("button", { name: "Send reply" }).click();
  const sent = page.locator(".message.agent", { hasText: "Here they are" });
  for (const name of ["invoice.txt", "dropped.txt", "pasted.txt"]) await sent.getByRole("link", { name }).waitFor();
  assert.equal(await page.locator("#reply-files").evaluate((input) => input.files.length), 0);
  await page.context().close();
});

test("what is filtered is saved as a view, which the menu counts", async () => {
  await submit("For the view");
  const page = await as(who("admin"), { viewport: { width: 1440, height: 900 } });
  await page.goto(at("acme/inbox"));
  const menu = page.getByRole("navigation", { name: "Main" });
  await menu.getByRole("link", { name: /^Waiting for us \d+/ }).click();
  await page.waitForURL(/waiting=yes/);
  assert.match(await page.title(), /^\(\d+\) Inbox/);
  await page.getByRole("checkbox", { name: "Unread" }).check();
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL(/unread=yes/);
  await page.getByText("Save as a view").click();
  await page.getByLabel("Name", { exact: true }).fill("New and waiting");
  await page.getByRole("button", { name: "Save view" }).click();
  const view = menu.getByRole("link", { name: /^New and waiting \d+/ });
  await view.waitFor();
  assert.equal(await view.getAttribute("aria-current"), "true");
  await accessible(page, "views");
  await picture(page, "dashboard-views");
  await page.getByRole("button", { name: "Delete the view New and waiting" }).click();
  await page.getByText("Deleted.").waitFor();
  assert.equal(await view.count(), 0);
  await page.context().close();
});
