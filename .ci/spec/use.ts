// What a front-end developer does with the types generated from the document: if this no longer compiles, neither does
// their code. It is compiled, never run. `@ts-expect-error` fails when the next line is not an error.

import type { components, paths } from "./generated/support.v1";

type Problem = components["schemas"]["Problem"];

type ListArticles = paths["/support/v1/help/articles"]["get"];
type ArticlesQuery = NonNullable<ListArticles["parameters"]["query"]>;
type ArticlePage = ListArticles["responses"][200]["content"]["application/json"];
type Article = ArticlePage["data"][number];

type OpenTicket = paths["/support/v1/tickets"]["post"];
type NewTicket = OpenTicket["requestBody"]["content"]["application/json"];
type MadeTicket = OpenTicket["responses"][201]["content"]["application/json"];

/** An answer that was no success, with the problem that it carried. */
class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

async function call<Answer>(key: string, path: keyof paths, init?: RequestInit, query = ""): Promise<Answer> {
  const headers = { "Content-Type": "application/json", "X-Vicket-Key": key };
  const response = await fetch(`${path}${query}`, { ...init, headers });
  if (!response.ok) {
    throw new Refused((await response.json()) as Problem);
  }
  return (await response.json()) as Answer;
}

/** All articles, a page at a time. */
export async function* articles(key: string, query: ArticlesQuery = {}): AsyncGenerator<Article> {
  let cursor: string | null = null;
  do {
    const asked = new URLSearchParams({ limit: String(query.limit ?? 20), sort: query.sort ?? "newest" });
    if (cursor !== null) {
      asked.set("cursor", cursor);
    }
    const page: ArticlePage = await call(key, "/support/v1/help/articles", {}, `?${asked}`);
    yield* page.data;
    // `string | null`, and always there: `undefined` would end the loop as well, but hide a renamed field.
    cursor = page.next_cursor;
  } while (cursor !== null);
}

export function line(article: Article): string {
  const published: string = article.published_at;
  return `${article.title} (${article.slug}): ${article.view_count.toFixed()} views since ${published.slice(0, 10)}`;
}

/** Opens a ticket and gives back the token that its customer reads it with. */
export async function openTicket(key: string, ticket: NewTicket): Promise<MadeTicket["token"]> {
  const made: MadeTicket = await call(key, "/support/v1/tickets", { method: "POST", body: JSON.stringify(ticket) });
  const number: number = made.number;
  const reference: string = made.reference;
  console.log(`ticket ${reference}, ${number.toFixed()} of its site (${made.status}): ${made.subject}`);
  return made.token;
}

export function whatIsWrong(problem: Problem): string[] {
  return problem.errors?.map((error) => `${error.field}: ${error.message}`) ?? [problem.detail];
}

export const least: NewTicket = { email: "ada@example.com", subject: "Where is it?", message: "I can't find it." };
export const most: NewTicket = { ...least, name: "Ada", template_id: null, answers: null };

// @ts-expect-error a ticket has a message
export const lacking: NewTicket = { email: "ada@example.com", subject: "Where is it?" };

// @ts-expect-error a field that the server would refuse
export const mistyped: NewTicket = { ...least, massage: "I can't find it." };

// @ts-expect-error an order that doesn't exist
export const misordered: ArticlesQuery = { sort: "oldest" };
