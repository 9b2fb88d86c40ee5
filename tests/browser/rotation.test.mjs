// A key is rotated under load, with two servers on one database: no customer's request fails, and the old key is dead on both.
// And limits, which need a server that has them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { open, picture, program, start } from "./harness.mjs";

let world, second, secondUrl;
before(async () => {
  world = await start();
  for (const limit of ["--reads", "--writes", "--network-reads", "--network-writes"]) {
    world.command("site", "update", "acme/acme-app", limit, "100000");
  }
  const port = await new Promise((resolve) => {
    const free = createServer().listen(0, "127.0.0.1", () => {
      const { port } = free.address();
      free.close(() => resolve(port));
    });
  });
  const { widget, agent, worker } = world.dev.databases;
  const env = { ...process.env, VICKET_WIDGET_URL: widget, VICKET_AGENT_URL: agent, VICKET_WORKER_URL: worker };
  second = spawn(program, ["serve", "--listen", `127.0.0.1:${port}`], { env, stdio: "ignore" });
  secondUrl = `http://localhost:${port}`;
  for (let tries = 0; ; tries += 1) {
    if (await fetch(`${secondUrl}/readyz`).then(({ ok }) => ok, () => false)) break;
    assert.ok(second.exitCode === null && tries < 100, "the second server did not start");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});
after(async () => {
  if (second) {
    second.kill("SIGTERM");
    await once(second, "exit");
  }
  await world?.stop();
});

/** Has a page of the allowed origin call both servers until `stop()`; that answers how many calls were good, and what was wrong. */
async function load(urls, key, nextKey) {
  const page = await open(world.browser);
  // The policy of the demo's page names one server.
  await page.context().newCDPSession(page).then((session) => session.send("Page.setBypassCSP", { enabled: true }));
  await page.goto(world.dev.pages.allowed);
  await page.evaluate(
    async ({ urls, key, nextKey }) => {
      const { createClient } = await import("/support-client.js");
      globalThis.load = { good: 0, tickets: 0, wrong: [], stop: false };
      const calls = async (support, number) => {
        for (let i = 0; !load.stop; i += 1) {
          try {
            if (i % 5 === 4) {
              await support.submitTicket({ email: "ada@example.com", subject: `Load ${number}/${i}`, message: crypto.randomUUID() });
              load.tickets += 1;
            } else {
              await support.articles({ limit: 1 + (i % 20) });
            }
            load.good += 1;
          } catch (error) {
            load.wrong.push(`${error.code ?? error}: ${error.hint}`);
          }
        }
      };
      globalThis.ended = Promise.all(urls.flatMap((url, number) => [0, 1, 2].map((n) => calls(createClient({ url, key, nextKey, retries: 0 }), `${number}.${n}`))));
    },
    { urls, key, nextKey },
  );
  return {
    good: () => page.evaluate(() => globalThis.load.good),
    stop: () =>
      page.evaluate(async () => {
        globalThis.load.stop = true;
        await globalThis.ended;
        return globalThis.load;
      }),
  };
}

const status = async (url, key) => (await fetch(`${url}/support/v1/site`, { headers: { "X-Vicket-Key": key } })).status;
const until = async (condition) => {
  for (let tries = 0; !(await condition()); tries += 1) {
    assert.ok(tries < 300, "nothing happened");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

test("stage, deploy, rotate: no customer's request fails, and the old key is dead on both servers at once", async () => {
  const urls = [world.dev.base_url, secondUrl];
  const old = world.site("acme-app").key;
  const before = await load(urls, old);
  await until(async () => (await before.good()) > 50);

  const staged = world.command("key", "stage", "acme/acme-app");
  // The page is deployed with both keys; who had it open has loaded it anew.
  const deployed = await load(urls, old, staged);
  await until(async () => (await deployed.good()) > 50);
  const first = await before.stop();

  const answers = await Promise.all(urls.map((url) => status(url, old)));
  assert.deepEqual(answers, [200, 200]);
  world.command("key", "rotate", "acme/acme-app");
  // From here on, no answer for the old key, by either server.
  for (let i = 0; i < 20; i += 1) {
    assert.deepEqual(await Promise.all(urls.map((url) => status(url, old))), [401, 401]);
  }
  const atRotation = await deployed.good();
  await until(async () => (await deployed.good()) > atRotation + 200);
  const second = await deployed.stop();

  assert.deepEqual([...first.wrong, ...second.wrong], []);
  assert.ok(second.tickets > 20, `${second.tickets} tickets`);
  assert.deepEqual(await Promise.all(urls.map((url) => status(url, staged))), [200, 200]);
  console.log(`${first.good + second.good} calls, ${first.tickets + second.tickets} of them tickets, none failed`);
  world.site("acme-app").key = staged;
});

test("a person who is too fast is told when to try again", async () => {
  world.command("site", "update", "acme/acme-app", "--network-writes", "1");
  const page = await open(world.browser);
  // The demo's page has the key of the start.
  await page.goto(world.dev.pages.allowed);
  await page.evaluate((key) => {
    const element = document.querySelector("vicket-support").cloneNode();
    element.setAttribute("publishable-key", key);
    document.querySelector("vicket-support").replaceWith(element);
    location.hash = "#vicket-new";
  }, world.site("acme-app").key);
  const refused = page.getByRole("alert").getByText(/try again in \d+ seconds/);
  const thanks = page.getByRole("heading", { name: "Thank you" });
  for (const subject of ["One", "Two"]) {
    await page.getByLabel("Your e-mail address").fill("ada@example.com");
    await page.getByLabel("Subject").fill(subject);
    await page.getByLabel("Message").fill("Quick.");
    await page.getByRole("button", { name: "Send" }).click();
    await refused.or(thanks).waitFor();
    if (await refused.isVisible()) break;
    await page.goto(`${page.url().split("#")[0]}#vicket-new`);
  }
  await refused.waitFor();
  assert.equal(await page.getByLabel("Message").inputValue(), "Quick.");
  await picture(page, "support-too-fast");
});
