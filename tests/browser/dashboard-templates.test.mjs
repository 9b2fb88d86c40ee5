// Ticket forms, statuses, priorities and the order of FAQs as people set them up, in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, dashboard, picture, quiet, start } from "./harness.mjs";

let server, as, at, who;
before(async () => {
  server = await start("--rate-limits", "off");
  ({ as, at, who } = dashboard(server));
}, { timeout: 120_000 });
after(() => server?.stop());

const evil = `<img src=x onerror="document.title='owned'">"'</textarea></option>`;

const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);
const result = (page, text) => page.locator("#result").getByText(text).waitFor();

/** A ticket that was sent with a form, as its conversation has it. */
async function submit(template, answers) {
  const headers = { "Content-Type": "application/json", "X-Vicket-Key": server.site("acme-app").key };
  const body = { email: "ada@example.com", subject: "With a form", message: "It is.", template_id: template, answers };
  const answer = await fetch(`${server.dev.base_url}/support/v1/tickets`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 201);
  return server.agent(who("owner"), "GET", `/v1/orgs/acme/tickets/${(await answer.json()).id}`);
}

test("a form is made, tried while it is typed, saved, and a ticket gets what the preview said", async () => {
  const page = await as(who("owner"));
  await page.getByRole("link", { name: "Ticket forms" }).click();
  await accessible(page, "ticket forms");
  await picture(page, "dashboard-templates");
  await page.getByRole("link", { name: "New form" }).click();
  await page.getByLabel("Text", { exact: true }).fill("How much?");
  await page.getByLabel("Answer", { exact: true }).selectOption({ label: "A choice" });
  await page.getByLabel("Option 1 of question 1", { exact: true }).fill("All of it");
  await page.getByLabel("Points of option 1 of question 1").fill("many");
  await page.getByLabel("Option 2 of question 1", { exact: true }).fill("A part");
  await page.getByLabel("Points of option 2 of question 1").fill("1");
  await page.getByLabel("Must be answered").check();
  await page.getByRole("button", { name: "Add question" }).click();
  await page.waitForFunction(() => document.activeElement.id === "questions[1].label");
  await page.keyboard.type("Are others hit too?");
  await page.getByLabel("Answer", { exact: true }).nth(1).selectOption({ label: "A checkbox" });
  await page.getByLabel("Points when ticked").locator("visible=true").fill("5");
  for (const [points, priority] of [["6", "High"], ["10", "Urgent"]]) {
    await page.getByRole("button", { name: "Add line" }).click();
    await page.waitForFunction(() => document.activeElement.id.startsWith("thresholds"));
    await page.keyboard.type(points);
    await page.getByLabel("Priority", { exact: true }).last().selectOption(priority);
  }
  await page.getByLabel("Acme App").check();
  // Nothing that was typed is lost by what is wrong, which is said beside its field and above all of them.
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("link", { name: "Question 1, option 1, points" }).waitFor();
  await page.getByRole("link", { name: "Name" }).waitFor();
  assert.equal(await page.getByLabel("Points of option 1 of question 1").getAttribute("aria-invalid"), "true");
  assert.equal(await page.getByLabel("Points of option 1 of question 1").inputValue(), "many");
  assert.equal(await page.getByLabel("Points when ticked").locator("visible=true").inputValue(), "5");
  await accessible(page, "form with faults");
  await picture(page, "dashboard-template-faults");
  await page.getByLabel("Points of option 1 of question 1").fill("8");
  await page.getByLabel("Name").fill("Something hurts");

  await page.getByLabel("Are others hit too?").check();
  await result(page, "A customer could not send this");
  await page.getByRole("button", { name: "Show the priority" }).click();
  await page.locator("#answers").getByText("must be answered").waitFor();
  await page.getByLabel("How much?").selectOption({ label: "All of it" });
  await result(page, "Urgent");
  await result(page, "13 points: from 10 on");
  await page.getByLabel("Are others hit too?").uncheck();
  await result(page, "8 points: from 6 on");
  // What is typed counts before it is saved.
  await page.getByLabel("Points of option 1 of question 1").fill("2");
  await result(page, "2 points: no line is reached, so it is the default");
  await page.getByLabel("Points of option 1 of question 1").fill("9");
  await result(page, "9 points: from 6 on");
  await accessible(page, "form");
  await picture(page, "dashboard-template");
  const { data: before } = await server.agent(who("owner"), "GET", "/v1/orgs/acme/templates");
  assert.ok(!before.some((form) => form.name === "Something hurts"), "a preview stores nothing");

  // Rows move by keyboard, and the button that moved one keeps the focus.
  await page.getByRole("button", { name: "Move question 2 up" }).press("Enter");
  await page.waitForFunction(() => document.activeElement.getAttribute("aria-label") === "Move question 1 up");
  await page.getByText("This is now question 1.").waitFor({ state: "attached" });
  assert.equal(await page.getByLabel("Text", { exact: true }).first().inputValue(), "Are others hit too?");
  await page.getByRole("button", { name: "Move option 2 of question 2 up" }).press("Enter");
  await page.waitForFunction(() => document.activeElement.getAttribute("aria-label") === "Move option 1 of question 2 up");
  await page.getByRole("button", { name: "Add question" }).click();
  await page.waitForFunction(() => document.activeElement.id === "questions[2].label");
  await page.getByRole("button", { name: "Remove question 3" }).click();
  await page.waitForFunction(() => document.activeElement.id === "questions[1].label");
  assert.equal(await focused(page), "questions[1].label");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.").waitFor();

  const { data } = await server.agent(who("owner"), "GET", "/v1/orgs/acme/templates");
  const form = data.find(({ name }) => name === "Something hurts");
  const [others, much] = form.questions;
  assert.deepEqual([others.label, much.options.map(({ label, points }) => [label, points])], ["Are others hit too?", [["A part", 1], ["All of it", 9]]]);
  const ticket = await submit(form.id, { [others.id]: true, [much.id]: much.options[1].id });
  await page.getByLabel("Are others hit too?").check();
  await page.getByLabel("How much?").selectOption({ label: "All of it" });
  await result(page, `${ticket.score} points`);
  assert.equal(await page.locator(".verdict strong").textContent(), ticket.priority.name);
  const lines = await page.locator("#result dt").allTextContents();
  assert.deepEqual(lines.map(Number), ticket.answers.map(({ points }) => points));
  quiet(page);
  await page.context().close();
});

test("two who edit one form do not overwrite each other unseen", async () => {
  const page = await as(who("owner"));
  const other = await as(who("admin"));
  await page.goto(at("acme/templates"));
  await page.getByRole("link", { name: /Something is broken/ }).click();
  await other.goto(page.url());
  await other.getByLabel("Description").fill("Changed meanwhile");
  await other.getByRole("button", { name: "Save", exact: true }).click();
  await other.getByText("Saved.").waitFor();
  await page.getByLabel("Description").fill("Mine");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("alert").getByText("Somebody changed this form").waitFor();
  assert.equal(await page.getByLabel("Description").inputValue(), "Mine");
  await accessible(page, "conflict");
  await picture(page, "dashboard-template-conflict");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.").waitFor();
  quiet(page);
  await other.context().close();
  await page.context().close();
});

test("without JavaScript a form is made, tried and deleted; what is typed is text", async () => {
  const page = await as(who("admin"), { javaScriptEnabled: false });
  await page.goto(at("acme/templates/new"));
  await page.getByLabel("Name").fill(evil);
  await page.getByLabel("Description").fill(evil);
  await page.getByLabel("Text", { exact: true }).fill(evil);
  await page.getByLabel("Answer", { exact: true }).selectOption({ label: "A choice" });
  await page.getByLabel("Option 1 of question 1", { exact: true }).fill(evil);
  await page.getByLabel("Points of option 1 of question 1").fill("7");
  await page.getByRole("button", { name: "Add option to question 1" }).click();
  assert.equal(await page.getByLabel("Option 1 of question 1", { exact: true }).inputValue(), evil);
  await page.getByRole("button", { name: "Add question" }).click();
  assert.equal(await page.getByLabel("Name").inputValue(), evil);
  await page.getByLabel("Text", { exact: true }).nth(1).fill("Where?");
  await page.getByRole("button", { name: "Show the priority" }).click();
  await page.locator("#answers select").selectOption({ index: 1 });
  await page.getByRole("button", { name: "Show the priority" }).click();
  await result(page, "7 points");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.").waitFor();
  const viewer = await as(who("viewer"));
  await viewer.goto(page.url());
  await viewer.locator("#answers select").selectOption({ index: 1 });
  await result(viewer, "7 points");
  assert.equal(await viewer.getByRole("button").count(), 2, "to try it, and the way out");
  assert.doesNotMatch(await viewer.title(), /^owned/);
  assert.equal(await viewer.locator("main img").count(), 0);
  await accessible(viewer, "form of a viewer");
  await picture(viewer, "dashboard-template-viewer");
  await viewer.goto(at("acme/templates"));
  await viewer.getByText("<img src=x").waitFor();
  assert.equal(await viewer.locator("main img").count(), 0);
  quiet(viewer);
  await viewer.context().close();
  await page.getByText("Delete", { exact: true }).click();
  await page.getByLabel("I am sure").check();
  await page.getByRole("button", { name: "Delete form" }).click();
  await page.getByText("Deleted.").waitFor();
  await page.context().close();
});

test("a status is added, renamed, moved, made the default and deleted; an agent only reads them", async () => {
  const page = await as(who("admin"));
  await page.getByRole("link", { name: "Workflow" }).click();
  await page.getByRole("link", { name: "Add status" }).click();
  await page.getByRole("button", { name: "Add status" }).click();
  await page.locator("#name[aria-invalid=true]").waitFor();
  await page.getByLabel("Name").fill(`<img src=x onerror=alert(1)>"'`);
  await page.getByLabel("What it means").selectOption("open");
  await accessible(page, "new status");
  await picture(page, "dashboard-status-new");
  await page.getByRole("button", { name: "Add status" }).click();
  await page.getByText("Created.").waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  await page.getByRole("link", { name: /^<img/ }).click();
  await page.getByLabel("Name").fill("Resolved");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("alert").getByText("There is a status of this name already.").waitFor();
  await page.getByLabel("Name").fill("Triage");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByRole("link", { name: /^Triage/ }).click();
  await page.getByRole("button", { name: "Make it the default" }).click();
  await page.getByText("Saved.").waitFor();
  const statuses = page.locator("section", { has: page.getByRole("heading", { name: "Statuses" }) });
  await statuses.getByRole("listitem").filter({ hasText: "Triage" }).getByText("default").waitFor();
  const names = () => statuses.locator(".grow strong").allTextContents();
  assert.deepEqual(await names(), ["Open", "Pending", "Resolved", "Closed", "Triage"]);
  const saved = page.waitForResponse((answer) => answer.request().method() === "POST");
  await page.getByRole("button", { name: "Move up: Triage" }).press("Enter");
  await saved;
  await page.getByText("Triage: now 4 of 5.").waitFor({ state: "attached" });
  assert.equal(await focused(page), "Move up: Triage");
  await page.reload();
  assert.deepEqual(await names(), ["Open", "Pending", "Resolved", "Triage", "Closed"]);
  await accessible(page, "workflow");
  await picture(page, "dashboard-workflow");
  await page.getByRole("link", { name: /^Triage/ }).click();
  await page.getByText("It stays the default until you choose another.").waitFor();
  assert.equal(await page.getByText("Delete", { exact: true }).count(), 0);
  await page.goto(at("acme/workflow"));
  await page.getByRole("link", { name: /^Open/ }).click();
  await page.getByRole("button", { name: "Make it the default" }).click();
  await page.getByRole("link", { name: /^Triage/ }).click();
  await page.getByText("Delete", { exact: true }).click();
  await page.getByLabel("I am sure").check();
  await accessible(page, "status");
  await picture(page, "dashboard-status");
  await page.getByRole("button", { name: "Delete status" }).click();
  await page.getByText("Deleted.").waitFor();
  const agent = await as(who("agent"));
  await agent.goto(at("acme/workflow"));
  await agent.getByRole("link", { name: /^Urgent/ }).click();
  await agent.getByRole("heading", { name: "Urgent" }).waitFor();
  assert.equal(await agent.getByRole("button").count(), 1, "only the way out");
  quiet(agent);
  quiet(page);
  await agent.context().close();
  await page.context().close();
});

test("FAQs are put in order by dragging, with a mouse and with a finger, and by keys", async () => {
  for (const question of ["Drag one", "Drag two", "Drag three"]) {
    await server.agent(who("owner"), "POST", "/v1/orgs/acme/faqs", { question, answer_markdown: "It is.", position: 1000 });
  }
  const page = await as(who("agent"));
  await page.goto(at("acme/help?kind=faqs"));
  const titles = () => page.locator(".grow strong").allTextContents();
  const handle = (at) => page.locator(".handle").nth(at);
  const middle = async (locator) => {
    const box = await locator.boundingBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const kept = async (expected) => {
    await page.waitForFunction(() => !document.querySelector("[data-order]").inert);
    await page.reload();
    assert.deepEqual(await titles(), expected);
  };
  const before = await titles();
  const last = before.length - 1;
  await page.mouse.move(...await middle(handle(last)));
  await page.mouse.down();
  await page.mouse.move(...await middle(handle(0)), { steps: 12 });
  await picture(page, "dashboard-faqs-dragging");
  await page.mouse.up();
  await page.getByText(`${before[last]}: now 1 of ${before.length}.`).waitFor({ state: "attached" });
  const first = [before[last], ...before.slice(0, last)];
  assert.deepEqual(await titles(), first);
  await kept(first);
  // Down again, to the second place from the end.
  await page.mouse.move(...await middle(handle(0)));
  await page.mouse.down();
  await page.mouse.move(...await middle(handle(last - 1)), { steps: 12 });
  await page.mouse.up();
  const second = [...before.slice(0, last - 1), before[last], before[last - 1]];
  await page.getByText(`now ${last} of`).waitFor({ state: "attached" });
  await kept(second);
  // Escape puts it back, and nothing is sent.
  await page.mouse.move(...await middle(handle(0)));
  await page.mouse.down();
  await page.mouse.move(...await middle(handle(2)), { steps: 6 });
  await page.keyboard.press("Escape");
  await page.mouse.up();
  assert.deepEqual(await titles(), second);
  await kept(second);
  const up = page.getByRole("button", { name: `Move up: ${before[last]}` });
  await up.focus();
  await page.keyboard.press("Enter");
  await page.getByText(`${before[last]}: now ${last - 1} of`).waitFor({ state: "attached" });
  assert.equal(await focused(page), `Move up: ${before[last]}`);
  await accessible(page, "FAQs in order");
  // What the support page shows is in the order of the list.
  const headers = { "X-Vicket-Key": server.site("acme-app").key };
  const { data } = await (await fetch(`${server.dev.base_url}/support/v1/help/faqs`, { headers })).json();
  const shown = data.map(({ question }) => question);
  const list = await titles();
  assert.ok(shown.length > 1);
  assert.deepEqual(shown, list.filter((title) => shown.includes(title)));
  // A search shows no order, and a viewer cannot change it.
  await page.goto(at("acme/help?kind=faqs&q=drag"));
  assert.equal(await page.locator(".handle").count(), 0);
  quiet(page);
  await page.context().close();

  const phone = await as(who("admin"), { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await phone.goto(at("acme/help?kind=faqs"));
  const session = await phone.context().newCDPSession(phone);
  const touch = (type, at) => session.send("Input.dispatchTouchEvent", { type, touchPoints: at ? [{ x: at[0], y: at[1] }] : [] });
  const place = async (at) => {
    const box = await phone.locator(".handle").nth(at).boundingBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const rows = await phone.locator(".grow strong").allTextContents();
  const [[x, from], [, to]] = [await place(0), await place(1)];
  await touch("touchStart", [x, from]);
  for (let step = 1; step <= 8; step += 1) await touch("touchMove", [x, from + ((to + 8 - from) * step) / 8]);
  await touch("touchEnd");
  await phone.getByText(`${rows[0]}: now 2 of`).waitFor({ state: "attached" });
  await phone.reload();
  assert.deepEqual((await phone.locator(".grow strong").allTextContents()).slice(0, 2), [rows[1], rows[0]]);
  quiet(phone);
  await phone.context().close();
});

test("on a phone the menu opens and closes without a script, and no row is squeezed", async () => {
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const page = await as(who("viewer"), { ...phone, javaScriptEnabled: false });
  const entry = page.getByRole("link", { name: "Workflow" });
  assert.equal(await entry.isVisible(), false);
  await page.getByRole("button", { name: "Menu" }).tap();
  await entry.tap();
  await page.getByRole("heading", { name: "Statuses and priorities" }).waitFor();
  await page.getByRole("button", { name: "Menu" }).tap();
  await page.getByRole("button", { name: "Log out" }).tap();
  await page.getByLabel("E-mail").waitFor();
  await page.context().close();

  const owner = await as(who("owner"), phone);
  const menu = owner.getByRole("button", { name: "Menu" });
  await menu.press("Enter");
  await accessible(owner, "menu");
  await picture(owner, "dashboard-phone-menu");
  await owner.keyboard.press("Escape");
  assert.equal(await owner.getByRole("link", { name: "Workflow" }).isVisible(), false);
  assert.ok(await menu.evaluate((button) => button === document.activeElement), "the focus comes back");
  const key = { name: "Nightly export into the data warehouse", permissions: ["ticket:read", "article:read", "status:read"] };
  await server.agent(who("owner"), "POST", "/v1/orgs/acme/machine-keys", key);
  for (const [path, summary, text] of [["machine-keys", "Revoke", key.name], ["members", "Remove", "admin@acme.com"], ["audit", undefined, key.name]]) {
    await owner.goto(at(`acme/${path}`));
    if (summary) await owner.getByText(summary, { exact: true }).first().tap();
    const { height } = await owner.locator("main").getByText(text).first().boundingBox();
    assert.ok(height < 60, `${path}: ${text} is ${height} high`);
    assert.ok(await owner.evaluate(() => document.documentElement.scrollWidth) <= 390, path);
    await accessible(owner, `${path}, phone`);
    await picture(owner, `dashboard-phone-open-${path}`);
  }
  quiet(owner);
  await owner.context().close();
});

test("phones and the dark: nothing sticks out, everything can be read", async () => {
  const { data } = await server.agent(who("owner"), "GET", "/v1/orgs/acme/templates");
  const { data: statuses } = await server.agent(who("owner"), "GET", "/v1/orgs/acme/statuses");
  for (const colorScheme of ["light", "dark"]) {
    const page = await as(who("owner"), { viewport: { width: 375, height: 740 }, colorScheme });
    const paths = { templates: "templates", template: `templates/${data[0].id}`, workflow: "workflow", status: `workflow/statuses/${statuses[1].id}`, faqs: "help?kind=faqs" };
    for (const [name, path] of Object.entries(paths)) {
      await page.goto(at(`acme/${path}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 375, `${path}: ${wide}`);
      await accessible(page, `${path}, ${colorScheme}`);
      await picture(page, `dashboard-phone-${colorScheme}-${name}`);
    }
    await page.context().close();
  }
});
