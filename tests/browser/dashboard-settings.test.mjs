// Machine keys and teams as people set them up, in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, dashboard, picture, quiet, start } from "./harness.mjs";

let server, as, at, who;
before(async () => {
  server = await start("--rate-limits", "off");
  ({ as, at, who } = dashboard(server));
}, { timeout: 120_000 });
after(() => server?.stop());

test("a machine key is made, shown once, used and revoked", async () => {
  const page = await as(who("owner"));
  await page.getByRole("link", { name: "Machine keys" }).click();
  await page.getByRole("button", { name: "Create key" }).click();
  await page.locator("#name[aria-invalid=true]").waitFor();
  await page.getByText("must be at least one").first().waitFor();
  await page.getByLabel("Name").fill("Nightly <b>export</b>");
  await page.getByLabel("Last day").fill("2999-12-31");
  await page.getByLabel("ticket:read").check();
  await accessible(page, "machine keys");
  await page.getByRole("button", { name: "Create key" }).click();
  const key = await page.locator("#key").textContent();
  assert.match(key, /^sk_/);
  const use = async () => (await fetch(`${server.dev.base_url}/v1/orgs/acme/tickets`, { headers: { Authorization: `Bearer ${key}` } })).status;
  assert.equal(await use(), 200);
  await accessible(page, "reveal");
  // Not the key itself: a picture is kept.
  await page.evaluate(() => { document.getElementById("key").textContent = "sk_SHOWN_ONCE"; });
  await picture(page, "dashboard-machine-key-reveal");
  assert.ok(!page.url().includes(key));
  await page.reload();
  assert.ok(!(await page.content()).includes(key), "after a reload");
  await page.goto(at("acme/sites"));
  await page.goBack();
  assert.ok(!(await page.content()).includes(key), "on the way back");
  await page.goto(at("acme/machine-keys"));
  const row = page.getByRole("listitem").filter({ hasText: "Nightly <b>export</b>" });
  await picture(page, "dashboard-machine-keys");
  await row.getByText("Revoke", { exact: true }).click();
  await row.getByLabel("I am sure").check();
  await row.getByRole("button", { name: "Revoke Nightly" }).click();
  await page.getByText("The next request with it is refused").waitFor();
  assert.equal(await use(), 401);
  quiet(page);
  await page.context().close();
});

test("a team is made, filled, renamed and deleted; an agent only reads it", async () => {
  const page = await as(who("admin"));
  await page.getByRole("link", { name: "Teams" }).click();
  await page.getByLabel("Name").fill("App support");
  await page.getByRole("button", { name: "Create team" }).click();
  await page.getByText("Created.").waitFor();
  const path = new URL(page.url()).pathname;
  await page.getByLabel(server.dev.users.find((user) => user.email === who("agent")).email).check();
  await page.getByLabel("Acme App").check();
  await page.getByLabel("Name").fill("App team");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByRole("heading", { name: "App team" }).waitFor();
  assert.ok(await page.getByLabel("Acme App").isChecked());
  await accessible(page, "team");
  await picture(page, "dashboard-team");
  await page.goto(at("acme/teams"));
  await accessible(page, "teams");
  await picture(page, "dashboard-teams");
  const agent = await as(who("agent"));
  await agent.goto(new URL(path, server.dev.base_url).href);
  await agent.getByRole("heading", { name: "App team" }).waitFor();
  assert.equal(await agent.getByRole("button").count(), 1, "only the way out");
  await agent.context().close();
  await page.getByRole("link", { name: /App team/ }).click();
  await page.getByText("Delete", { exact: true }).click();
  await page.getByLabel("I am sure").check();
  await page.getByRole("button", { name: "Delete team" }).click();
  await page.getByText("Deleted.").waitFor();
  quiet(page);
  await page.context().close();
});

test("phones and the dark: nothing sticks out, everything can be read", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await as(who("owner"), { viewport: { width: 375, height: 740 }, colorScheme });
    for (const path of ["machine-keys", "teams"]) {
      await page.goto(at(`acme/${path}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 375, `${path}: ${wide}`);
      await accessible(page, `${path}, ${colorScheme}`);
      await picture(page, `dashboard-phone-${colorScheme}-${path}`);
    }
    await page.context().close();
  }
});
