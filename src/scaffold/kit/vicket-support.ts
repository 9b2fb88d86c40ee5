// <vicket-support>: a support page as one element. Search, articles, FAQs, a ticket form, and the conversation that a
// ticket's link opens. It is yours: change what you like, or use support-client.ts without it.
//
//     <vicket-support></vicket-support>                                      key and URL from the environment
//     <vicket-support server="https://..." publishable-key="pk_..."></vicket-support>   ... or from here; next-key="pk_..." too
//
// `routing` says where it keeps what is shown: `hash`, in the address's fragment, behind that of an app with a hash router;
// `history`, in the query `?vicket=`; `memory`, nowhere. A ticket's link opens the ticket with each.
//
// Colours, font and corners are CSS variables: see STYLE below. Everything that a customer or an agent wrote is inserted as
// text; only the HTML of articles and FAQs, which the server sanitised, is inserted as HTML.
//
// Events, which bubble up to the document: `vicket:ready`, `vicket:ticket-submitted`, `vicket:reply-sent`,
// `vicket:article-viewed`, `vicket:search`, `vicket:error`. Methods: `show("article", slug)`, `prefill({ email })`.
// `identify(token)` says who the customer is, by a token that your server signed: their tickets are listed, from any browser.
// `remembers` keeps the tickets that are written here in this browser, and lists them.
//
// A ticket's link holds its token in the part after `#`, which browsers send to nobody: no server's log and no Referer
// has it. Whoever has the link reads and answers the ticket.

import { createClient, SupportError } from "./support-client.js";
import type { ArticlePage, ArticleSummary, Attachment, Faq, Identity, Message, MyTicketPage, NewTicket, Question, Site, SupportClient, Template, Thread } from "./support-client.js";

const STYLE = `
:host {
  --accent: var(--vicket-accent, light-dark(#3f4bc4, #a5adff));
  --on-accent: var(--vicket-on-accent, light-dark(#fff, #14152b));
  --text: var(--vicket-text, light-dark(#1c1d22, #ececf1));
  --muted: var(--vicket-muted, light-dark(#5b5d68, #a6a8b4));
  --background: var(--vicket-background, transparent);
  --surface: var(--vicket-surface, light-dark(#f6f6f8, #22232a));
  --border: var(--vicket-border, light-dark(#d9dae1, #3b3d48));
  --danger: var(--vicket-danger, light-dark(#b3261e, #ffb4ab));
  --input: var(--vicket-input, light-dark(#fff, #17181d));
  --on-input: var(--vicket-on-input, light-dark(#1c1d22, #ececf1));
  --radius: var(--vicket-radius, 10px);
  display: block;
  color: var(--text);
  background: var(--background);
  font: 1rem/1.55 var(--vicket-font, system-ui, sans-serif);
  overflow-wrap: anywhere;
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
h1, h2, h3 { line-height: 1.25; margin: 0 0 .6em; text-wrap: balance; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 1.8em; } h3 { font-size: 1.05rem; }
:is(h1, h2, ol):focus { outline: none; }
p { margin: 0 0 1em; }
a { color: var(--accent); text-underline-offset: .15em; }
.plain { list-style: none; margin: 0; padding: 0; }
.muted { color: var(--muted); font-size: .9rem; }
.error { color: var(--danger); font-weight: 600; }
.row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; }
.card { border: 1px solid var(--border); border-radius: var(--radius); padding: .9rem 1.1rem; margin: 0 0 .7rem; }
a.card { display: block; color: inherit; text-decoration: none; }
a.card strong { color: var(--accent); }
a.card:hover { background: var(--surface); }
a.card p, .card > :last-child { margin-bottom: 0; }
summary { cursor: pointer; font-weight: 600; }
details[open] summary { margin-bottom: .6rem; }
label, .label { display: block; font-weight: 600; margin: 1rem 0 .3rem; }
.choice { display: flex; gap: .6rem; align-items: baseline; margin: 1rem 0 .3rem; }
.choice label { margin: 0; }
input:not([type=checkbox]), textarea, select {
  width: 100%; font: inherit; color: var(--on-input); background: var(--input);
  border: 1px solid light-dark(#85879a, #7d8092); border-radius: calc(var(--radius) * .7); padding: .55rem .7rem;
}
textarea { min-height: 8rem; resize: vertical; }
[aria-invalid=true] { border-color: var(--danger) !important; }
button {
  font: inherit; font-weight: 600; cursor: pointer; border-radius: calc(var(--radius) * .7); padding: .55rem 1.1rem;
  border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent);
}
button.quiet { background: transparent; color: var(--accent); }
button[aria-disabled=true] { opacity: .6; cursor: progress; }
:is(a, button, input, textarea, select, summary):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.prose :is(pre, code) { background: var(--surface); border-radius: 4px; padding: .1em .3em; }
.prose pre { padding: .8em; overflow: auto; }
.prose img { max-width: 100%; height: auto; }
.prose table { display: block; overflow-x: auto; border-collapse: collapse; } .prose :is(td, th) { border: 1px solid var(--border); padding: .3em .6em; text-align: start; }
.prose > :last-child { margin-bottom: 0; }
::placeholder { color: light-dark(#62646f, #a6a8b4); opacity: 1; }
.files { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .8rem; }
.files button { font-size: .9rem; padding: .3rem .8rem; }
.agent { background: var(--surface); }
.developer { font: .85rem/1.5 ui-monospace, monospace; }
.status { position: sticky; top: .5rem; z-index: 1; min-height: 1.6rem; margin-bottom: .4rem; display: flex; justify-content: end; align-items: start; pointer-events: none; }
.status span:not(:empty) {
  background: var(--text); color: light-dark(#fff, #14152b); border-radius: 99px; padding: .15rem .9rem; font-size: .9rem;
}
`;

type Child = Node | string | null | undefined | false;
type Properties = Record<string, unknown>;

/** An element. Functions are listeners, `true` and `false` set and omit an attribute; text is never HTML. */
function h<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, properties: Properties = {}, ...children: Child[]) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
}

/** What people wrote begins on the side that its language begins on; links in it leave the page, and its headings are none of the page's. */
function markup(element: HTMLElement): HTMLElement {
  element.querySelectorAll("p, li, blockquote, td, th").forEach((block) => block.setAttribute("dir", "auto"));
  element.querySelectorAll("a").forEach((link) => link.setAttribute("target", "_blank"));
  element.querySelectorAll("h1, h2, h3, h4, h5, h6").forEach((heading) => heading.replaceWith(h("p", { dir: "auto" }, h("strong", {}, heading.textContent))));
  return element;
}

/** HTML that the server sanitised. A page that demands Trusted Types allows the policy `vicket`. */
function prose(html: string): HTMLElement {
  const element = h("div", { class: "prose" });
  const { trustedTypes } = globalThis as { trustedTypes?: { createPolicy(name: string, rules: object): { createHTML(html: string): string } } };
  trusted ??= trustedTypes?.createPolicy("vicket", { createHTML: (html: string) => html }) ?? { createHTML: (html) => html };
  element.innerHTML = trusted.createHTML(html);
  // A page has one h1, which is its own.
  element.querySelectorAll("h1").forEach((heading) => heading.replaceWith(h("h2", {}, ...Array.from(heading.childNodes))));
  return element;
}
let trusted: { createHTML(html: string): string } | undefined;

// As the page's language writes them.
const language = () => document.documentElement.lang || undefined;
const day = (time: string) => new Date(time).toLocaleDateString(language(), { dateStyle: "medium" });
const moment = (time: string) => new Date(time).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
const STATUS = { open: "Open", pending: "Waiting for you", resolved: "Solved", closed: "Closed" } as const;
const WAITING = 1_500;
const ROUTE = "#vicket-";
const QUERY = "vicket";

/** What the events of the element say, as `detail`. None has a ticket's token. */
export interface SupportEvents {
  "vicket:ready": object;
  "vicket:ticket-submitted": { id: string; reference: string; subject: string };
  "vicket:reply-sent": { reference: string };
  "vicket:article-viewed": { slug: string; title: string };
  "vicket:search": { q: string; found: number };
  "vicket:error": { code: string; message: string };
}

/** What a ticket's form begins with. */
export interface Prefill {
  email?: string;
  name?: string;
  subject?: string;
  message?: string;
}

/** A ticket that was written in this browser; `seen` is the last message that was shown of it. */
export interface Remembered {
  token: string;
  reference: string;
  subject: string;
  seen?: string | undefined;
  unread?: boolean | undefined;
}

declare global {
  interface HTMLElementTagNameMap {
    "vicket-support": VicketSupport;
  }
}

// Where a server renders pages there are no elements; the module must load there all the same.
const Base = typeof HTMLElement === "undefined" ? (class {} as typeof HTMLElement) : HTMLElement;

export class VicketSupport extends Base {
  static observedAttributes = ["server", "publishable-key", "next-key", "routing"];

  /** The tickets that were written in this browser, the newest first. */
  static remembered(key: string): Remembered[] {
    try {
      return JSON.parse(localStorage.getItem(place(key)) ?? "[]") as Remembered[];
    } catch {
      return [];
    }
  }

  /** Asks which of the last five have an answer that was not shown yet; how many those are. */
  static async look(client: SupportClient, key: string): Promise<number> {
    for (const { token } of VicketSupport.remembered(key).slice(0, 5)) {
      const thread = await client.thread(token, { limit: 1 }).catch((error: unknown) => (error as SupportError).code === "not_found" ? null : undefined);
      const last = thread?.messages.at(-1);
      const all = VicketSupport.remembered(key);
      const ticket = all.find((known) => known.token === token);
      if (ticket && last) ticket.unread = last.author === "agent" && last.id !== ticket.seen;
      // One that is gone is forgotten.
      store(key, thread === null ? all.filter((known) => known.token !== token) : all);
    }
    return VicketSupport.remembered(key).filter(({ unread }) => unread).length;
  }

  #client: SupportClient | undefined;
  #view = h("div");
  #status = h("span");
  #leaving = new AbortController();
  /** The route that is shown, and what fragments of others were in the address while one of ours was shown. */
  #shown: string | undefined;
  #elsewhere = new Map<string, string>();
  /** The form of a new ticket, as somebody began to fill it in; and what they searched for. */
  #draft: Child[] | undefined;
  #query = "";
  #prefilled: Prefill = {};
  #ready = false;
  #given = false;

  connectedCallback(): void {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      root.append(h("div", { role: "status", class: "status" }, this.#status), this.#view);
    }
    addEventListener("hashchange", this.#moved);
    addEventListener("popstate", this.#moved);
    // An element that only moved within the page keeps what it shows.
    if (this.#shown === undefined) void this.#show(this.#route(), false);
  }

  disconnectedCallback(): void {
    removeEventListener("hashchange", this.#moved);
    removeEventListener("popstate", this.#moved);
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#leaving.abort();
      this.#shown = undefined;
    });
  }

  /** Shows the start, the form of a new ticket, an article by its slug, or a ticket by its token. */
  show(what: "home" | "new" | "article" | "ticket", which?: string): void {
    this.#go(which === undefined ? what : `${what}=${which}`);
  }

  /** Fills in what the form of a new ticket begins with. What somebody wrote there stays. */
  prefill(values: Prefill): void {
    this.#prefilled = { ...this.#prefilled, ...values };
    const inputs = (this.#draft ?? []).find((child): child is HTMLFormElement => child instanceof HTMLFormElement);
    if (inputs) fill(inputs, values);
  }

  /**
   * Says who the customer is, by a token that your server signed a moment ago, or by what fetches one. `null` when they log out.
   */
  async identify(identity: Identity | null): Promise<void> {
    await this.#support.identify(identity);
    this.refresh();
  }

  /** The client that it asks, in place of one that it makes of its attributes. */
  set client(client: SupportClient) {
    this.#client = client;
    this.#given = true;
  }

  /** Shows anew what depends on who the customer is. What somebody wrote is kept. */
  refresh(): void {
    this.#draft = undefined;
    if (this.isConnected && this.shadowRoot && (this.#shown === "home" || this.#shown === "new")) void this.#show(this.#shown, false);
  }

  #emit<Name extends keyof SupportEvents>(name: Name, detail: SupportEvents[Name]): void {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }

  /** Keeps a ticket in this browser, where the page wants that; `seen` is the last message that is shown. */
  #remember(token: string, thread: { reference: string; subject: string }, seen?: string): void {
    // One of the customer's is in their list, wherever they log in.
    if (!this.hasAttribute("remembers") || !token.startsWith("tk_")) return;
    const key = this.#key;
    const others = VicketSupport.remembered(key).filter((known) => known.token !== token);
    store(key, [{ token, reference: thread.reference, subject: thread.subject, seen }, ...others].slice(0, 20));
  }

  get #key(): string {
    return this.getAttribute("publishable-key") ?? "";
  }

  attributeChangedCallback(): void {
    if (!this.#given) this.#client = undefined;
    if (this.isConnected && this.shadowRoot) void this.#show(this.#route(), false);
  }

  #moved = (): void => {
    if (this.#routing === "memory" && !split(location.hash)[1]) return;
    const route = this.#route();
    if (route !== this.#shown) void this.#show(route, true);
  };

  /** What the address names. One that names nothing of ours keeps what was shown when it came. */
  #route(): string {
    // The last `#vicket-`, as what is before it may be the route of an app.
    const fragment = split(location.hash)[1];
    const query = this.#routing === "history" ? new URL(location.href).searchParams.get(QUERY) : null;
    if (fragment !== undefined) return decode(fragment);
    if (query !== null) return query;
    const route = this.#elsewhere.get(location.href) ?? this.#shown ?? "home";
    this.#elsewhere.set(location.href, route);
    return route;
  }

  get #routing(): string {
    return this.getAttribute("routing") ?? "hash";
  }

  /** The address of a route, whole: a page's `<base href>` counts for nothing. A ticket's token stands only behind `#`. */
  #address(route: string): string {
    const address = new URL(location.href);
    const [app] = split(address.hash);
    address.searchParams.delete(QUERY);
    const behind = this.#routing !== "history" || route.startsWith("ticket=");
    if (!behind && route !== "home") address.searchParams.set(QUERY, route);
    address.hash = behind ? `${app}${ROUTE}${encodeURI(route)}` : app;
    return address.href;
  }

  /** Puts a route into the address, if it is kept there. */
  #keep(route: string, replace = false): void {
    if (this.#routing === "memory") return;
    // What the app's router keeps there stays.
    history[replace ? "replaceState" : "pushState"](history.state, "", this.#address(route));
  }

  #go(route: string): void {
    if (route !== this.#shown) this.#keep(route);
    void this.#show(route, true);
  }

  #link(route: string, properties: Properties, ...children: Child[]): HTMLElement {
    const click = (event: MouseEvent) => {
      // A new tab or window is the browser's to open.
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      this.#go(route);
    };
    return h("a", { href: this.#address(route), click, ...properties }, ...children);
  }

  #back(): HTMLElement {
    return h("nav", { "aria-label": "Support" }, h("p", {}, this.#link("home", {}, "← All help")));
  }

  #card(article: ArticleSummary): HTMLElement {
    const text = [h("strong", {}, article.title), h("p", { class: "muted" }, article.excerpt)];
    return this.#link(`article=${article.slug}`, { class: "card" }, ...text);
  }

  get #support(): SupportClient {
    const attribute = (name: string) => this.getAttribute(name) ?? undefined;
    this.#client ??= createClient({ url: attribute("server"), key: attribute("publishable-key"), nextKey: attribute("next-key") });
    return this.#client;
  }

  /** Shows a route. `moved`: a person went there, so focus goes along. */
  async #show(route: string, moved: boolean): Promise<void> {
    this.#leaving.abort();
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#shown = route;
    const [name = ""] = route.split("=", 1);
    const argument = route.slice(name.length + 1);
    this.#say("Loading…");
    let content: Child[];
    try {
      if (name === "article") content = await this.#article(argument, signal);
      else if (name === "ticket") content = await this.#thread(argument, signal);
      else if (name === "new") content = this.#draft ??= await this.#form(signal);
      else content = await this.#home(signal);
    } catch (error) {
      if (signal.aborted) return;
      content = [
        name !== "home" && this.#back(),
        h("h1", { tabindex: -1 }, name === "ticket" ? "This ticket can't be shown" : "Support"),
        ...this.#failure(error),
        h("button", { class: "quiet", click: () => void this.#show(route, true) }, "Try again"),
      ];
    }
    if (signal.aborted) return;
    this.#say("");
    this.#draw(content, moved);
    if (!this.#ready) this.#emit("vicket:ready", {});
    this.#ready = true;
  }

  #draw(content: Child[], focus: boolean): void {
    this.#view.replaceChildren(...content.filter((child): child is Node | string => !!child));
    if (focus) this.#view.querySelector<HTMLElement>("h1")?.focus();
  }

  /** Says what happens, above the page; what is not said anew fades after a while. */
  #say(text: string): void {
    const said = document.createTextNode(text);
    this.#status.replaceChildren(...(text ? [said] : []));
    if (!text.endsWith("…")) setTimeout(() => said.remove(), 6_000);
  }

  /** What went wrong, for the person; on a developer's machine, why, too. */
  #failure(error: unknown): HTMLElement[] {
    const known = error instanceof SupportError;
    if (!known) console.error(error);
    const here = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname);
    const hint = known ? `${error.code}: ${error.hint}` : String(error);
    const message = known ? error.message : "Something went wrong on this page.";
    this.#emit("vicket:error", { code: known ? error.code : "unknown", message });
    return [
      h("p", { class: "error", role: "alert" }, message),
      ...(here && !(known && error.errors.length) ? [h("p", { class: "card developer" }, `For the developer, on localhost only. ${hint}`)] : []),
    ];
  }

  // --- the start: search, articles, FAQs ---

  async #home(signal: AbortSignal): Promise<Child[]> {
    const [site, first, faqs, mine] = await Promise.all([
      this.#support.site({ signal }),
      this.#support.articles(this.#query ? { q: this.#query } : {}, { signal }),
      this.#support.faqs(this.#query ? { q: this.#query } : {}, { signal }),
      // What else is there is shown without them, too.
      this.#support.customer && this.#support.myTickets({}, { signal }).catch(() => undefined),
    ]);
    const found = h("ul", { class: "plain" });
    const nothing = h("p", { class: "muted" });
    const problems = h("div");
    const more = h("button", { class: "quiet", click: () => void next() }, "Show more articles");
    const heading = h("h2", {}, "Articles");
    let cursor: string | null = null;
    let current = signal;
    let searching: AbortController | undefined;
    let adding = false;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const questions = h("section", { "aria-label": "Frequently asked questions" });
    const showFaqs = (faqs: Faq[]) => {
      const cards = faqs.map((faq) => h("details", { class: "card", dir: "auto" }, h("summary", {}, faq.question), prose(faq.answer_html)));
      questions.replaceChildren(h("h2", {}, "Frequently asked questions"), ...cards);
      questions.hidden = faqs.length === 0;
    };
    showFaqs(faqs);

    const show = (page: ArticlePage, added: boolean) => {
      const items = page.data.map((article) => h("li", {}, this.#card(article)));
      if (added) found.append(...items);
      else found.replaceChildren(...items);
      cursor = page.next_cursor;
      more.hidden = cursor === null;
      heading.textContent = this.#query ? `Articles about “${page.searched_for ?? this.#query}”` : "Articles";
      nothing.textContent = this.#query && !questions.hidden ? "No articles, but a question that was asked before." : this.#query ? "Nothing found. Try other words, or write to us." : "There are no articles yet.";
      nothing.hidden = found.childElementCount > 0;
    };
    const ask = async (cursor: string | null): Promise<ArticlePage | undefined> => {
      const asked = current;
      problems.replaceChildren();
      try {
        const page = await this.#support.articles({ ...(this.#query && { q: this.#query }), ...(cursor && { cursor }) }, { signal: asked });
        return asked === current ? page : undefined;
      } catch (error) {
        // What was on the page stays there.
        if (!asked.aborted) problems.replaceChildren(...this.#failure(error));
        if (!asked.aborted) this.#say("");
        return undefined;
      }
    };
    const next = async () => {
      if (adding) return;
      adding = true;
      const last = found.lastElementChild;
      const page = await ask(cursor);
      adding = false;
      if (!page) return;
      show(page, true);
      last?.nextElementSibling?.querySelector("a")?.focus();
    };
    const search = async (text: string) => {
      searching?.abort();
      searching = new AbortController();
      current = AbortSignal.any([signal, searching.signal]);
      this.#query = text;
      this.#say("Searching…");
      const [page, answers] = await Promise.all([ask(null), this.#support.faqs(text ? { q: text } : {}, { signal: current }).catch(() => undefined)]);
      if (!page) return;
      if (answers) showFaqs(answers);
      show(page, false);
      const found = page.data.length + (text && answers ? answers.length : 0);
      this.#say(found ? (text ? `${found}${page.next_cursor ? " or more" : ""} found.` : "") : "Nothing found.");
      // Of what is typed bit by bit, the last.
      clearTimeout(waiting);
      if (text) waiting = setTimeout(() => this.#emit("vicket:search", { q: text, found }), WAITING);
    };
    show(first, false);

    const input = h("input", { id: "q", type: "search", autocomplete: "off", placeholder: "What are you looking for?", value: this.#query });
    let typing: ReturnType<typeof setTimeout> | undefined;
    input.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => void search(input.value.trim()), 250);
    });
    const submit = (event: Event) => {
      event.preventDefault();
      clearTimeout(typing);
      void search(input.value.trim());
    };
    return [
      h("h1", { tabindex: -1 }, `How can we help you with ${site.name}?`),
      h("form", { role: "search", submit }, h("label", { for: "q" }, "Search the help center"), input),
      h("section", { "aria-label": "Articles" }, heading, found, nothing, problems, more),
      questions,
      mine ? this.#mine(mine) : this.#tickets(),
      h("h2", {}, "Still stuck?"),
      h("p", {}, this.#link("new", {}, "Write to us")),
    ];
  }

  /** The tickets of the customer, from whichever browser. */
  #mine(first: MyTicketPage): Child {
    if (first.data.length === 0) return null;
    const list = h("ul", { class: "plain" });
    const more = h("button", { type: "button", class: "quiet" }, "Show more tickets");
    let cursor: string | null = null;
    const show = (page: MyTicketPage) => {
      for (const { id, reference, subject, status, last_activity_at, unread } of page.data) {
        const news = unread ? ` · ${unread === 1 ? "New answer" : `${unread} new answers`}` : "";
        const about = `${reference} · ${STATUS[status]} · ${moment(last_activity_at)}${news}`;
        list.append(h("li", {}, this.#link(`ticket=${id}`, { class: "card" }, h("strong", { dir: "auto" }, subject), h("p", { class: "muted" }, about))));
      }
      cursor = page.next_cursor;
      more.hidden = !cursor;
    };
    show(first);
    more.addEventListener("click", async () => {
      if (cursor) show(await this.#support.myTickets({ cursor }).catch(() => ({ data: [], next_cursor: cursor })));
    });
    return h("section", { "aria-label": "Your tickets" }, h("h2", {}, "Your tickets"), list, more);
  }

  /** The tickets that were written in this browser. */
  #tickets(): Child {
    const known = this.hasAttribute("remembers") ? VicketSupport.remembered(this.#key) : [];
    if (known.length === 0) return null;
    const item = ({ token, reference, subject, unread }: Remembered) =>
      h("li", {}, this.#link(`ticket=${token}`, { class: "card" }, h("strong", {}, subject), " ", h("span", { class: "muted" }, `${reference}${unread ? " · New answer" : ""}`)));
    const section = h("section", { "aria-label": "Your tickets" }, h("h2", {}, "Your tickets"), h("ul", { class: "plain" }, ...known.map(item)));
    const forget = () => {
      store(this.#key, []);
      section.remove();
    };
    section.append(h("button", { type: "button", class: "quiet", click: forget }, "Forget them in this browser"));
    return section;
  }

  async #article(slug: string, signal: AbortSignal): Promise<Child[]> {
    const article = await this.#support.article(slug, { signal });
    this.#emit("vicket:article-viewed", { slug: article.slug, title: article.title });
    return [
      this.#back(),
      h("article", {}, h("h1", { tabindex: -1 }, article.title), h("p", { class: "muted" }, `Updated ${day(article.updated_at)}`), prose(article.body_html)),
      h("p", {}, "Did this not help? ", this.#link("new", {}, "Write to us")),
    ];
  }

  // --- a new ticket ---

  async #form(signal: AbortSignal): Promise<Child[]> {
    const [site, templates] = await Promise.all([this.#support.site({ signal }), this.#support.templates({ signal })]);
    const { limits } = site;
    const questions = h("div");
    const form = h("form", {});
    const choose = h("select", { id: "template_id" }, h("option", { value: "" }, "Something else"), ...templates.map((template) => h("option", { value: template.id }, template.name)));
    const chosen = () => templates.find((template) => template.id === choose.value);
    // What was answered is there again when a form is chosen again.
    const inputs = new Map(templates.map((template) => [template.id, asked(template)]));
    choose.addEventListener("change", () => questions.replaceChildren(...(inputs.get(choose.value) ?? [])));

    const { customer } = this.#support;
    form.append(
      ...(templates.length ? field("template_id", "What is it about?", choose) : []),
      ...(customer
        ? [h("p", { class: "muted" }, `You write as ${customer.name ? `${customer.name}, ` : ""}${customer.email}.`)]
        : [
            ...field("email", "Your e-mail address", h("input", { id: "email", type: "email", required: true, autocomplete: "email", maxlength: limits.email })),
            ...field("name", "Your name (optional)", h("input", { id: "name", autocomplete: "name", maxlength: limits.name })),
          ]),
      ...field("subject", "Subject", h("input", { id: "subject", required: true, maxlength: limits.subject })),
      questions,
      ...field("message", "Message", h("textarea", { id: "message", required: true, maxlength: limits.message })),
      ...fileField(limits.files),
    );
    const draft = `new:${site.slug}`;
    restore(form, draft, () => questions.replaceChildren(...(inputs.get(choose.value) ?? [])));
    fill(form, this.#prefilled);
    this.#sends(form, "Send", async () => {
      const ticket: NewTicket = { subject: value(form, "subject"), message: value(form, "message") };
      if (!customer) ticket.email = value(form, "email");
      const name = value(form, "name").trim();
      if (name) ticket.name = name;
      const template = chosen();
      if (template) {
        ticket.template_id = template.id;
        ticket.answers = answers(form, template.questions);
      }
      const made = await this.#support.submitTicket(ticket);
      const unsent = await this.#attach(made.token, made.message_id, form);
      const route = `ticket=${customer ? made.id : made.token}`;
      const link = this.#address(route);
      // Wherever the person went meanwhile: the ticket's address is shown once, so from here on it is the page's.
      this.#leaving.abort();
      this.#keep(route, true);
      this.#shown = route;
      this.#draft = undefined;
      keep(draft, null);
      if (!customer) this.#remember(made.token, made, made.message_id);
      this.#emit("vicket:ticket-submitted", { id: made.id, reference: made.reference, subject: made.subject });
      this.#say("");
      this.#draw(
        [
          this.#back(),
          h("h1", { tabindex: -1 }, "Thank you, we have your message"),
          h("p", {}, `It is ticket ${made.reference}, “${made.subject}”.`),
          ...unsent,
          customer ? h("p", {}, "It is in your tickets, wherever you log in.") : h("p", {}, `This link opens it${this.#routing === "memory" ? "" : ", and so does this page's address"}. Keep it to yourself: whoever has it reads and answers the ticket.`),
          h("p", {}, this.#link(route, {}, "Open the ticket")),
          !customer && copyButton(link),
        ],
        true,
      );
    });
    return [this.#back(), h("h1", { tabindex: -1 }, `Write to ${site.org_name}`), form];
  }

  // --- a ticket's conversation ---

  async #thread(token: string, signal: AbortSignal): Promise<Child[]> {
    // The limits are of use, and their lack no reason to show nothing.
    const [thread, site] = await Promise.all([this.#support.thread(token, {}, { signal }), this.#support.site({ signal }).catch(() => undefined)]);
    const status = h("span", {}, STATUS[thread.status]);
    const { elements, show } = this.#messages(token);
    show(thread);
    this.#remember(token, thread, thread.messages.at(-1)?.id);
    if (!token.startsWith("tk_")) void this.#support.markRead(token).catch(() => undefined);
    const closed = thread.status === "closed";
    return [
      this.#back(),
      h("h1", { tabindex: -1 }, thread.subject),
      h("p", { class: "muted" }, `Ticket ${thread.reference} · `, status, ` · ${moment(thread.created_at)}`),
      ...elements,
      closed ? h("p", {}, "This conversation is closed. ", this.#link("new", {}, "Start a new one")) : this.#reply(token, thread, show, status, site?.limits.files),
    ];
  }

  /** The messages of a ticket with a button for earlier ones, and what shows the newest of them, now and again. */
  #messages(token: string): { elements: HTMLElement[]; show: (thread: Thread) => void } {
    const list = h("ol", { class: "plain", "aria-label": "Messages", tabindex: -1 });
    const button = h("button", { type: "button", class: "quiet" }, "Earlier messages");
    const row = h("p", {}, button);
    const shown = new Set<string>();
    let cursor: string | null | undefined;
    const draw = (messages: Message[]): HTMLElement[] => messages.map((message) => (shown.add(message.id), this.#said(token, message)));
    const older = (next: string | null | undefined) => {
      cursor = next;
      row.hidden = !next;
    };
    const show = (thread: Thread) => {
      const fresh = thread.messages.filter((message) => !shown.has(message.id));
      // Nothing of this page is there: what is there may end long before it.
      if (fresh.length === thread.messages.length) {
        shown.clear();
        list.replaceChildren();
        older(thread.next_cursor);
      }
      list.append(...draw(fresh));
    };
    let asking = false;
    button.addEventListener("click", async () => {
      if (asking || !cursor) return;
      asking = true;
      button.setAttribute("aria-disabled", "true");
      try {
        const page = await this.#support.thread(token, { cursor });
        list.prepend(...draw(page.messages));
        older(page.next_cursor);
        this.#say("Earlier messages were added.");
        if (row.hidden) list.focus();
      } catch (error) {
        this.#say(error instanceof SupportError ? error.message : "Earlier messages could not be fetched.");
      } finally {
        asking = false;
        button.removeAttribute("aria-disabled");
      }
    });
    return { elements: [row, list], show };
  }

  #reply(token: string, thread: Thread, show: (thread: Thread) => void, status: HTMLElement, files?: Site["limits"]["files"]): HTMLElement {
    const form = h("form", {}, h("h2", {}, "Reply"));
    const solved = h("p", { class: "muted", hidden: thread.status !== "resolved" }, "It is solved. A reply opens it again.");
    const text = h("textarea", { id: "body", required: true, maxlength: 20_000 });
    const draft = `reply:${token.slice(-12)}`;
    form.append(solved, ...field("body", "Your reply", text), ...fileField(files));
    restore(form, draft);
    const unsent = h("div");
    form.append(unsent);
    this.#sends(form, "Send reply", async () => {
      const sent = text.value;
      const message = await this.#support.reply(token, sent);
      unsent.replaceChildren(...(await this.#attach(token, message.id, form)));
      const now = await this.#support.thread(token).catch(() => ({ ...thread, messages: [...thread.messages, message] }));
      show(now);
      this.#remember(token, now, now.messages.at(-1)?.id);
      this.#emit("vicket:reply-sent", { reference: now.reference });
      status.textContent = STATUS[now.status];
      solved.hidden = now.status !== "resolved";
      // What was written meanwhile is the next reply.
      if (text.value === sent) {
        keep(draft, null);
        form.reset();
        text.value = "";
      }
      this.#say("Your reply was sent.");
    });
    return form;
  }

  /** Adds the form's files to a message that was sent; when that fails, the message stays, and this is what to say. */
  async #attach(token: string, messageId: string, form: HTMLFormElement): Promise<HTMLElement[]> {
    const files = Array.from(form.querySelector<HTMLInputElement>("#files")?.files ?? []);
    if (files.length === 0) return [];
    try {
      await this.#support.attach(token, messageId, files);
      return [];
    } catch (error) {
      return [h("p", { class: "error" }, "Your message was sent, but not its files. You can send them with a reply."), ...this.#failure(error)];
    }
  }

  #said(token: string, message: Message): HTMLElement {
    const who = message.author === "agent" ? `${message.author_name ?? "Support"} (support)` : (message.author_name ?? "You");
    const files = message.attachments.map((file) => h("li", {}, this.#download(token, file)));
    return h(
      "li",
      { class: `card ${message.author}` },
      h("p", { class: "muted" }, `${who}, ${moment(message.created_at)}`),
      markup(prose(message.body_html)),
      files.length > 0 && h("ul", { class: "plain files", "aria-label": "Files" }, ...files),
    );
  }

  /** A file is fetched with the ticket's token and saved; it never opens within the page. */
  #download(token: string, file: Attachment): HTMLElement {
    const button = h("button", { type: "button", class: "quiet" }, `${file.name} (${size(file.size)})`);
    button.addEventListener("click", async () => {
      this.#say(`Fetching ${file.name}…`);
      try {
        const url = URL.createObjectURL(await this.#support.attachment(token, file.id));
        h("a", { href: url, download: file.name }).click();
        setTimeout(() => URL.revokeObjectURL(url), 60_000);
        this.#say("");
      } catch (error) {
        this.#say(error instanceof SupportError ? error.message : "The file could not be fetched.");
      }
    });
    return button;
  }

  /** Makes a form send: once at a time, with what went wrong beside the field that it went wrong in. */
  #sends(form: HTMLFormElement, label: string, send: () => Promise<void>): void {
    const button = h("button", { type: "submit" }, label);
    const problems = h("div");
    form.append(problems, h("p", {}), button);
    let sending = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (sending) return;
      sending = true;
      button.setAttribute("aria-disabled", "true");
      button.textContent = "Sending…";
      problems.replaceChildren();
      form.querySelectorAll("[aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
      form.querySelectorAll(".of-field").forEach((error) => (error.textContent = ""));
      send()
        .catch((error: unknown) => {
          problems.replaceChildren(...this.#failure(error));
          const wrong = error instanceof SupportError ? error.errors : [];
          for (const { field, message } of wrong) {
            const name = field.replace(/^answers\./, "");
            const place = form.querySelector(`[id="${CSS.escape(name)}-error"]`);
            if (place) place.textContent = `This ${message}.`;
            else problems.append(h("p", { class: "error" }, `${field} ${message}.`));
            form.querySelector(`[id="${CSS.escape(name)}"]`)?.setAttribute("aria-invalid", "true");
          }
          form.querySelector<HTMLElement>("[aria-invalid]")?.focus();
        })
        .finally(() => {
          sending = false;
          button.removeAttribute("aria-disabled");
          button.textContent = label;
        });
    });
  }
}

const place = (key: string) => `vicket:tickets:${key.slice(-8)}`;

function store(key: string, tickets: Remembered[]): void {
  try {
    if (tickets.length) localStorage.setItem(place(key), JSON.stringify(tickets));
    else localStorage.removeItem(place(key));
  } catch {
    // A page that may keep nothing.
  }
}

/** Fills the empty inputs of a form by their names. */
function fill(form: HTMLFormElement, values: Prefill): void {
  for (const [name, value] of Object.entries(values)) {
    const input = form.querySelector<HTMLInputElement>(`[id="${CSS.escape(name)}"]`);
    if (input && !input.value && typeof value === "string") input.value = value;
  }
}

/** What somebody began to write is there again after a reload, in this tab only; `null` when it was sent. */
function keep(name: string, values: Record<string, string | boolean> | null): void {
  try {
    if (values) sessionStorage.setItem(`vicket:${name}`, JSON.stringify(values));
    else sessionStorage.removeItem(`vicket:${name}`);
  } catch {
    // A page that may keep nothing.
  }
}

/** Puts what was kept back into a form, and keeps what is entered from now on. `changed`: after each, as some inputs depend on others. */
function restore(form: HTMLFormElement, name: string, changed?: () => void): void {
  const inputs = () => Array.from(form.querySelectorAll<HTMLInputElement>("input:not([type=file]), textarea, select"));
  const checks = (input: HTMLInputElement) => input.type === "checkbox";
  let kept: Record<string, string | boolean> = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(`vicket:${name}`) ?? "{}") as typeof kept;
  } catch {
    // Nothing was kept.
  }
  // Twice, as what is chosen shows more.
  for (let round = 0; round < 2; round += 1) {
    for (const input of inputs()) {
      const value = kept[input.id];
      if (typeof value === "boolean" && checks(input)) input.checked = value;
      else if (typeof value === "string" && !checks(input)) input.value = value;
    }
    if (round === 0) changed?.();
  }
  form.addEventListener("input", () => keep(name, Object.fromEntries(inputs().map((input) => [input.id, checks(input) ? input.checked : input.value]))));
}

/** A label, an input whose id is `name`, and a place for what is wrong with it. */
function field(name: string, label: string, input: HTMLElement): HTMLElement[] {
  const error = h("div", { id: `${name}-error`, class: "error of-field" });
  input.setAttribute("aria-describedby", error.id);
  const text = h("label", { for: name }, label);
  if (input.getAttribute("type") === "checkbox") return [h("div", { class: "choice" }, input, text), error];
  return [text, input, error];
}

/** The inputs of a template's questions. */
function asked(template: Template | undefined): HTMLElement[] {
  const description = template?.description ? [h("p", { class: "muted" }, template.description)] : [];
  return [...description, ...(template?.questions ?? []).flatMap((question) => field(question.id, question.required ? question.label : `${question.label} (optional)`, input(question)))];
}

function input(question: Question): HTMLElement {
  const common = { id: question.id, required: question.required };
  switch (question.type) {
    case "select":
      return h("select", common, h("option", { value: "" }, "Please choose"), ...question.options.map((option) => h("option", { value: option.id }, option.label)));
    case "textarea":
      return h("textarea", common);
    case "checkbox":
      return h("input", { ...common, type: "checkbox" });
    case "date":
      return h("input", { ...common, type: "date" });
    default:
      return h("input", common);
  }
}

function answers(form: HTMLFormElement, questions: Question[]): Record<string, string | boolean> {
  const given: Record<string, string | boolean> = {};
  for (const question of questions) {
    const element = form.querySelector<HTMLInputElement>(`[id="${question.id}"]`);
    if (question.type === "checkbox") given[question.id] = element?.checked ?? false;
    else if (element?.value) given[question.id] = element.value;
  }
  return given;
}

function value(form: HTMLFormElement, name: string): string {
  return form.querySelector<HTMLInputElement>(`[id="${name}"]`)?.value ?? "";
}

function fileField(limits: Site["limits"]["files"] | undefined): HTMLElement[] {
  const [label, input, error] = field("files", "Files (optional)", h("input", { id: "files", type: "file", multiple: true })) as [HTMLElement, HTMLInputElement, HTMLElement];
  if (!limits) return [label, input, error];
  const most = `Up to ${limits.max_files} files of ${size(limits.max_bytes)} each, ${size(limits.max_message_bytes)} together.`;
  input.addEventListener("change", () => {
    const files = Array.from(input.files ?? []);
    const large = files.filter((file) => file.size > limits.max_bytes);
    const total = files.reduce((sum, file) => sum + file.size, 0);
    error.textContent = large.length ? `${large.map((file) => file.name).join(", ")}: too large.` : files.length > limits.max_files || total > limits.max_message_bytes ? "These are too many." : "";
    input.toggleAttribute("aria-invalid", !!error.textContent);
  });
  input.setAttribute("aria-describedby", "files-most files-error");
  return [label, h("p", { id: "files-most", class: "muted" }, most), input, error];
}

function size(bytes: number): string {
  return bytes < 100_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function copyButton(text: string): HTMLElement {
  const button = h("button", { class: "quiet" }, "Copy the link");
  button.addEventListener("click", () => {
    const done = (label: string) => () => (button.textContent = label);
    navigator.clipboard.writeText(text).then(done("Copied"), done("Could not copy: open the ticket and copy its address"));
  });
  return button;
}

/** A fragment up to our route, and our route if it has one. */
function split(fragment: string): [string, string?] {
  const at = fragment.lastIndexOf(ROUTE);
  return at < 0 ? [fragment] : [fragment.slice(0, at), fragment.slice(at + ROUTE.length)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

if (typeof customElements !== "undefined" && !customElements.get("vicket-support")) {
  customElements.define("vicket-support", VicketSupport);
}
