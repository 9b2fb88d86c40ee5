// The pages of the documentation: what they say can be read by everybody, and their calls can be tried out.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, open, start } from "./harness.mjs";

let world;
before(async () => (world = await start("--rate-limits", "off")));
after(() => world?.stop());

const opened = async (page, operation) => {
  await page.locator(`[id$="-${operation}"] .opblock-summary-control`).click();
  await page.locator(`[id$="-${operation}"] .try-out__btn`).click();
};

for (const [surface, operation] of [["support", "submitTicket"], ["agent", "createTeam"]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`/docs/${surface} is read by everybody: ${colorScheme}`, async () => {
      const page = await open(world.browser, { colorScheme });
      await page.goto(`${world.dev.base_url}/docs/${surface}`);
      await page.locator(".opblock").first().waitFor();
      await accessible(page, "closed");
      await page.locator(".opblock-post .opblock-summary-control").first().click();
      await page.locator(".try-out__btn").first().click();
      await page.locator("textarea").first().waitFor();
      await accessible(page, `open, as ${operation} is`);
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(background, colorScheme === "dark" ? "rgb(26, 26, 26)" : "rgb(255, 255, 255)");
      await page.context().close();
    });
  }
}

test("calls of the support surface are tried out from the page, those that write, too", async () => {
  const page = await open(world.browser);
  await page.goto(`${world.dev.base_url}/docs/support`);
  await page.getByRole("button", { name: "Authorize" }).first().click();
  await page.locator(".auth-container input").first().fill(world.site("acme-app").key);
  await page.locator(".auth-container .btn.authorize").first().click();
  await page.locator(".btn-done").first().click();

  // The examples of parameters are sent as they are, but for those that only show what one looks like.
  await opened(page, "listArticles");
  const list = page.waitForResponse((response) => response.url().includes("/support/v1/help/articles"));
  await page.locator('[id$="-listArticles"] .execute').click();
  assert.equal((await list).status(), 200);

  await opened(page, "submitTicket");
  for (let times = 0; times < 2; times += 1) {
    const body = { email: "ada@example.com", subject: `From the page, ${times}`, message: "It works." };
    await page.locator('[id$="-submitTicket"] textarea').fill(JSON.stringify(body));
    const made = page.waitForResponse((response) => response.url().endsWith("/support/v1/tickets"));
    await page.locator('[id$="-submitTicket"] .execute').click();
    assert.equal((await made).status(), 201);
  }
  await page.context().close();
});

test("a page of another origin is none of the server's", async () => {
  const { key } = world.site("acme-app");
  const body = JSON.stringify({ email: "ada@example.com", subject: "s", message: "m" });
  const headers = { "X-Vicket-Key": key, "Content-Type": "application/json" };
  const status = async (more) => (await fetch(`${world.dev.base_url}/support/v1/tickets`, { method: "POST", body, headers: { ...headers, ...more } })).status;
  assert.equal(await status({ Origin: world.dev.base_url }), 403, "no browser said so");
  assert.equal(await status({ Origin: "https://evil.example", "Sec-Fetch-Site": "same-origin" }), 403);
});
