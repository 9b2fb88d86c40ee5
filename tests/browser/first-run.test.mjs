// A new server, as whoever set it up meets it: from nothing to a key that works.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, open, picture, start } from "./harness.mjs";

let server;
before(async () => { server = await start("--empty", "--demo-ports", "off"); }, { timeout: 120_000 });
after(() => server?.stop());

test("the first to open the dashboard makes the org, a website and its key", async () => {
  const page = await open(server.browser);
  await page.goto(`${server.dev.base_url}/dashboard`);
  assert.equal(new URL(page.url()).pathname, "/dashboard/setup");
  await accessible(page, "set-up");
  await picture(page, "dashboard-setup");

  const [, code] = server.printed().match(/Code for the set-up: (\S+)/);
  await page.getByLabel("Code from the server's log").fill(code);
  await page.getByLabel("Your company").fill("Acme & Söhne");
  await page.getByLabel("Your name").fill("Ada");
  await page.getByLabel("Your e-mail address").fill("ada@acme.example");
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Create org" }).click();
  await page.getByText("Password must have 10").waitFor();
  assert.equal(await page.getByLabel("Your company").inputValue(), "Acme & Söhne");
  await accessible(page, "set-up-refused");
  await picture(page, "dashboard-setup-refused");
  await page.getByLabel("Password").fill("correct horse battery");
  await page.getByRole("button", { name: "Create org" }).click();

  await page.waitForURL(/dashboard\/acme-sohne\/sites$/);
  await page.getByLabel("Name").fill("Acme App");
  await page.getByRole("button", { name: /Add|Create/ }).click();
  await page.waitForURL(/sites\/acme-app\?done=created$/);
  await page.goto(`${server.dev.base_url}/dashboard/acme-sohne/sites/acme-app/key`);
  await page.getByRole("button", { name: "Create key" }).click();
  const key = await page.locator("#key").textContent();
  const answer = await fetch(`${server.dev.base_url}/support/v1/site`, { headers: { "X-Vicket-Key": key } });
  assert.equal(answer.status, 200);

  // Whoever comes next is asked to log in.
  const next = await open(server.browser);
  await next.goto(`${server.dev.base_url}/dashboard/setup`);
  assert.equal(new URL(next.url()).pathname, "/dashboard/login");
  await next.context().close();
  await page.context().close();
});
