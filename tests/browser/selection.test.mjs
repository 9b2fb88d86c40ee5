// Work with many tickets: tags, a selection and its undo, snoozing, tickets that agents make.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, dashboard, picture, quiet, start } from "./harness.mjs";

let server, as, at, who;
before(async () => {
  server = await start("--rate-limits", "off");
  ({ as, at, who } = dashboard(server));
  const agent = (method, path, body) => server.agent(who("owner"), method, `/v1/orgs/acme/${path}`, body);
  for (const [name, colour] of [["billing", "teal"], ["bug", "red"], ["feature", "purple"], ["vip", "yellow"], ["waiting on legal", "grey"]]) {
    await agent("POST", "tags", { name, colour });
  }
  for (const [n, tags] of [["billing"], ["bug", "vip"], ["feature"], ["waiting on legal", "billing"]].entries()) {
    const body = { site: "acme-app", email: `c${n}@example.com`, name: `Customer ${n}`, subject: `Lot ${n}`, message: "Called.", internal: true, tags };
    await agent("POST", "tickets", body);
  }
}, { timeout: 120_000 });
after(() => server?.stop());

const rows = (page) => page.locator(".tickets li");
const box = (page, subject) => rows(page).filter({ hasText: subject }).getByRole("checkbox");

test("a selection is made with keys, changed without a page load, and taken back", async () => {
  const page = await as(who("agent"));
  await page.goto(at("acme/inbox"));
  let loads = 0;
  page.on("request", (request) => (loads += request.isNavigationRequest() ? 1 : 0));
  const bar = page.getByRole("form", { name: "What becomes of the selected tickets" });
  assert.equal(await bar.isVisible(), false);
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await bar.waitFor();
  await bar.getByText("1 selected:").waitFor();
  // All between two, with the shift key.
  await box(page, "Lot 3").uncheck();
  await box(page, "Lot 3").check();
  await box(page, "Lot 0").click({ modifiers: ["Shift"] });
  await bar.getByText("4 selected:").waitFor();
  await accessible(page, "the inbox with a selection");
  await picture(page, "selection");
  // News leaves a selection, and what is chosen for it, as they are.
  await bar.getByLabel("Put on a tag").selectOption("bug");
  await server.agent(who("owner"), "POST", "/v1/orgs/acme/tickets", { site: "acme-app", email: "news@example.com", subject: "News", message: "x", internal: true });
  await rows(page).filter({ hasText: "News" }).waitFor();
  await bar.getByText("4 selected:").waitFor();
  assert.equal(await page.locator(".tickets :checked").count(), 4);
  await bar.getByLabel("Set the status").selectOption({ label: "Resolved" });
  await bar.getByRole("button", { name: "Apply" }).click();
  const toast = page.locator("#toast");
  await toast.getByText("4 tickets changed.").waitFor();
  await rows(page).filter({ hasText: "Lot 2" }).waitFor({ state: "detached" });
  assert.equal(await bar.isVisible(), false);
  await toast.getByRole("button", { name: "Undo" }).click();
  await toast.getByText("4 tickets as before.").waitFor();
  const lot = rows(page).filter({ hasText: "Lot 2" });
  await lot.waitFor();
  assert.deepEqual(await lot.locator(".tag").allTextContents(), ["feature"]);
  assert.equal(loads, 0);
  quiet(page);
  await page.context().close();
});

test("a ticket is tagged, snoozed and woken where it is, and made for a customer", async () => {
  const page = await as(who("agent"));
  await page.goto(at("acme/new-ticket"));
  await page.getByLabel("The customer's address").fill("dora@example.com");
  await page.getByLabel("Subject").fill("Your parcel");
  await page.getByLabel("Message").fill("Hello Dora, it is **on its way**.");
  await page.getByLabel("vip").check();
  await accessible(page, "a new ticket");
  await picture(page, "new-ticket");
  await page.getByRole("button", { name: "Make ticket" }).click();
  await page.getByRole("heading", { name: "Your parcel" }).waitFor();
  await page.getByText("Mail:").waitFor();
  const side = page.locator(".side-pane");
  await side.getByLabel("Put on a tag").selectOption("billing");
  await page.getByText("put on the tag billing").waitFor();
  await side.getByRole("button", { name: "Take off vip" }).click();
  await page.getByText("took off the tag vip").waitFor();
  await page.getByLabel("Reply to the customer").fill("Not lost");
  await side.getByLabel("Snooze", { exact: true }).selectOption("tomorrow");
  await side.getByText("Snoozed until").waitFor();
  // It is the morning of who looks.
  const until = await side.locator(".snoozed time").getAttribute("datetime");
  assert.equal(new Date(until).getHours(), 9);
  assert.equal(await page.getByLabel("Reply to the customer").inputValue(), "Not lost");
  await accessible(page, "a snoozed ticket");
  await picture(page, "snoozed");
  await side.getByRole("button", { name: "Wake" }).click();
  await page.getByText("woke it").waitFor();
  quiet(page);
  await page.context().close();
});

test("the list is filtered by tags, which are made in the settings", async () => {
  const page = await as(who("owner"));
  await page.goto(at("acme/tags"));
  await page.getByLabel("Name").fill("churn");
  await page.getByLabel("orange").check();
  await accessible(page, "tags");
  await picture(page, "tags");
  await page.getByRole("button", { name: "Make tag" }).click();
  await page.getByText("Saved.").waitFor();
  await page.goto(at("acme/inbox?status=any&tag=bug"));
  assert.deepEqual(await rows(page).locator(".subject").allTextContents(), ["Lot 1"]);
  await page.getByLabel("And tag").selectOption("billing");
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await page.getByText("No tickets here.").waitFor();
  quiet(page);
  await page.context().close();
});

for (const [name, options] of [["phone", { viewport: { width: 390, height: 844 } }], ["dark", { colorScheme: "dark" }], ["phone-dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }]]) {
  test(`pages of many tickets fit: ${name}`, async () => {
    const page = await as(who("owner"), options);
    for (const [what, path] of [["inbox", "acme/inbox?status=any"], ["tags", "acme/tags"], ["new-ticket", "acme/new-ticket"]]) {
      await page.goto(at(path));
      if (what === "inbox") await box(page, "Lot 1").check();
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} is wider than the screen`);
      await accessible(page, `${what}, ${name}`);
      await picture(page, `many-${what}-${name}`);
    }
    await rows(page).first().waitFor({ state: "detached" });
    await page.goto(at("acme/inbox"));
    await rows(page).filter({ hasText: "Lot 1" }).getByRole("link").click();
    await page.getByRole("heading", { name: "Lot 1" }).waitFor();
    await accessible(page, `a ticket with tags, ${name}`);
    await picture(page, `many-ticket-${name}`);
    await page.context().close();
  });
}
