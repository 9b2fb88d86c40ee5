// Ticket forms, statuses, priorities and the order of FAQs as people set them up, in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, open, picture, start } from "./harness.mjs";

let server;
before(async () => { server = await start("--rate-limits", "off"); }, { timeout: 120_000 });
after(() => server?.stop());

const at = (path) => `${server.dev.base_url}/dashboard/${path}`;
const who = (role, org = "acme") => server.dev.users.find((user) => user.org === org && user.role === role).email;
const quiet = (page) => assert.deepEqual(page.said.filter((line) => !line.startsWith("log") && !/status of 4\d\d/.test(line)), []);
const evil = `<img src=x onerror="document.title='owned'">"'</textarea></option>`;

/** A page of somebody of the demo who has logged in by the form. */
async function as(email, options) {
  const page = await open(server.browser, options);
  await page.goto(`${server.dev.base_url}/dashboard`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(server.user(email).password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(/dashboard\/(acme|globex)/);
  return page;
}

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
  await page.getByText("It is question 1 now.").waitFor({ state: "attached" });
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
  await page.getByLabel("I mean it").check();
  await page.getByRole("button", { name: "Delete form" }).click();
  await page.getByText("Deleted.").waitFor();
  await page.context().close();
});

test("phones and the dark: nothing sticks out, everything can be read", async () => {
  const { data } = await server.agent(who("owner"), "GET", "/v1/orgs/acme/templates");
  for (const colorScheme of ["light", "dark"]) {
    const page = await as(who("owner"), { viewport: { width: 375, height: 740 }, colorScheme });
    for (const [name, path] of [["templates", "templates"], ["template", `templates/${data[0].id}`]]) {
      await page.goto(at(`acme/${path}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 375, `${path}: ${wide}`);
      await accessible(page, `${path}, ${colorScheme}`);
      await picture(page, `dashboard-phone-${colorScheme}-${name}`);
    }
    await page.context().close();
  }
});
