// What a page of the dashboard costs: `just budgets`, or `tests/browser/run budgets.mjs` for a program that is built.
//
// 100,000 tickets with their conversations, a year of them, in one org. Bytes are bounded: a page with its style and script, as
// sent to a browser that comes for the first time. Times are printed, for a judgement that knows the machine and the build.
import { request } from "node:http";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pg from "pg";
import { start } from "./harness.mjs";

const TICKETS = 100_000;
const REQUESTS = 20;
const MOST_BYTES = 60 * 1024;
const MOST_MS = 200;

let server;
let cookie;
before(async () => {
  server = await start("--rate-limits", "off", "--demo-ports", "off");
  const db = new pg.Client({ connectionString: server.dev.databases.admin });
  await db.connect();
  // Triggers are for what people do; these rows are as those leave them.
  await db.query("set session_replication_role = replica");
  await db.query(`
    insert into vicket.tickets (org_id, site_id, number, email, name, subject, status, status_id, priority_id, created_at, updated_at)
    select s.org_id, s.id, 1000 + n, 'c' || n % 5000 || '@example.com', 'Customer ' || n % 5000,
      'Ticket ' || n || ' about ' || (array['refunds', 'exports', 'log-ins', 'invoices'])[1 + n % 4],
      t.category, t.id, p.id, at.at, at.at
    from generate_series(1, ${TICKETS}) n
    cross join lateral (select now() - n * interval '5 minutes' as at) at
    cross join lateral (
      select s.* from vicket.sites s join vicket.orgs o on o.id = s.org_id where o.slug = 'acme' order by s.slug offset n % 2 limit 1
    ) s
    cross join lateral (
      select t.* from vicket.statuses t where t.org_id = s.org_id order by t.position, t.id offset n % 4 limit 1
    ) t
    join vicket.priorities p on p.org_id = s.org_id and p.is_default`);
  await db.query(`
    insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, author_name, body, created_at)
    select t.org_id, t.site_id, t.id, a.author, a.name, 'It is about ' || t.subject || '. ' || repeat('Words that fill a line. ', 10),
      t.created_at + a.later
    from vicket.tickets t
    cross join (values ('customer', null, interval '0'), ('agent', 'Agnes', interval '40 minutes')) a (author, name, later)
    where t.number > 1000 and (a.author = 'customer' or t.status <> 'open')`);
  await db.query(`
    insert into vicket.ticket_events (org_id, site_id, ticket_id, at, actor, kind, before, after)
    select t.org_id, t.site_id, t.id, t.created_at + interval '1 hour', 'agnes', 'status', 'Open', s.name
    from vicket.tickets t join vicket.statuses s on s.org_id = t.org_id and s.id = t.status_id
    where t.number > 1000 and t.status in ('resolved', 'closed')`);
  // Twenty tags, one or two a ticket; every fiftieth is snoozed.
  await db.query("insert into vicket.tags (org_id, name) select id, 'tag ' || n from vicket.orgs, generate_series(0, 19) n where slug = 'acme'");
  await db.query(`
    insert into vicket.ticket_tags (org_id, site_id, ticket_id, tag_id)
    select t.org_id, t.site_id, t.id, g.id from vicket.tickets t
    join vicket.tags g on g.org_id = t.org_id and g.name in ('tag ' || t.number % 19, case when t.number % 2 = 0 then 'tag 19' end)
    where t.number > 1000`);
  await db.query("update vicket.tickets set snoozed_until = now() + interval '1 day' where number > 1000 and number % 50 = 0");
  await db.query(`
    insert into vicket.saved_views (org_id, user_id, shared, name, filter)
    select m.org_id, m.user_id, true, 'Tag ' || n, jsonb_build_object('tags', array['tag ' || n])
    from vicket.members m join vicket.orgs o on o.id = m.org_id, generate_series(1, 3) n where o.slug = 'acme' and m.role = 'owner'`);
  await db.query("set session_replication_role = origin");
  await db.query("analyze");
  const { rows } = await db.query("select count(*)::int as n, min(id::text) as id from vicket.tickets where number > 1000");
  assert.equal(rows[0].n, TICKETS);
  server.ticket = rows[0].id;
  await db.end();

  const { email, password } = server.dev.users.find((user) => user.org === "acme" && user.role === "owner");
  const headers = { "Content-Type": "application/json", Origin: server.dev.base_url };
  const login = await fetch(`${server.dev.base_url}/v1/auth/login`, { method: "POST", headers, body: JSON.stringify({ email, password }) });
  cookie = login.headers.get("set-cookie").split(";")[0];
}, { timeout: 600_000 });
after(() => server?.stop());

async function get(path, headers = {}) {
  const began = performance.now();
  const answer = await fetch(`${server.dev.base_url}${path}`, { headers: { Cookie: cookie, ...headers }, redirect: "manual" });
  const text = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${answer.status}`);
  return { text, ms: performance.now() - began };
}

/** Bytes as they are sent to a browser. */
async function sent(path) {
  return new Promise((resolve, reject) => {
    const headers = { Cookie: cookie, "Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin" };
    request(`${server.dev.base_url}${path}`, { headers }, (answer) => {
      let bytes = 0;
      answer.on("data", (part) => (bytes += part.length));
      answer.on("end", () => resolve(bytes));
    }).on("error", reject).end();
  });
}

test("each page is small and quick at 100,000 tickets", { timeout: 600_000 }, async () => {
  const org = "/dashboard/acme";
  const pages = [
    "/dashboard/acme", `${org}/inbox`, `${org}/inbox?status=any&q=invoices`, `${org}/inbox?status=resolved&assignee=none`,
    `${org}/inbox?status=any&q=%2342000`, `${org}/inbox?status=any&tag=tag+19`, `${org}/inbox?status=any&tag=tag+3&tag=tag+19`,
    `${org}/inbox?status=any&snoozed=yes`, `${org}/new-ticket`, `${org}/tags`, `${org}/inbox/${server.ticket}`, `${org}/replies`, `${org}/help`, `${org}/help/articles/new`, `${org}/help?kind=faqs`,
    `${org}/templates`, (await get(`${org}/templates`)).text.match(/[^"]+\/templates\/[0-9a-f-]{36}/)[0], `${org}/templates/new`, `${org}/workflow`,
    `${org}/sites`, `${org}/sites/acme-app`, `${org}/sites/acme-app/key`, `${org}/members`, `${org}/teams`, `${org}/machine-keys`, `${org}/audit`,
  ];
  const table = [];
  for (const path of pages) {
    const times = [];
    let page;
    for (let n = 0; n < REQUESTS; n += 1) {
      page = await get(path);
      times.push(page.ms);
    }
    times.sort((a, b) => a - b);
    const parts = [path, ...[...page.text.matchAll(/(?:src|href)="(\/dashboard\/assets\/[^"]+)"/g)].map(([, asset]) => asset)];
    let whole = 0;
    for (const part of parts) whole += await sent(part);
    assert.ok(whole <= MOST_BYTES, `${path}: ${whole} bytes`);
    table.push({ page: path.replace(server.ticket, "ID"), "KB sent": +(whole / 1024).toFixed(1), "median ms": +times[REQUESTS / 2].toFixed(1), "slowest ms": +times.at(-1).toFixed(1) });
  }
  console.table(table);
  const slow = table.filter((row) => row["slowest ms"] > MOST_MS).map((row) => row.page);
  console.log(slow.length ? `Over ${MOST_MS} ms in this run: ${slow.join(", ")}` : `None over ${MOST_MS} ms, the slowest request counted.`);
});
