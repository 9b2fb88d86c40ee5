// <vicket-support>: a support page as one element. Search, articles, FAQs, a ticket form, and the conversation that a
// ticket's link opens. It is yours: change what you like, or use support-client.ts without it.
//
//     <vicket-support></vicket-support>                                      key and URL from the environment
//     <vicket-support server="https://..." publishable-key="pk_..."></vicket-support>   ... or from here; next-key="pk_..." too
//
// Colours, font and corners are CSS variables: see STYLE below. Everything that a customer or an agent wrote is inserted as
// text; only the HTML of articles and FAQs, which the server sanitised, is inserted as HTML.
//
// A ticket's link holds its token in the part after `#`, which browsers send to nobody: no server's log and no Referer
// has it. Whoever has the link reads and answers the ticket.

import { createClient, SupportError } from "./support-client";
import type { ArticleSummary, Attachment, Message, NewTicket, Question, SupportClient, Template, Thread } from "./support-client";

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
  --radius: var(--vicket-radius, 10px);
  display: block;
  color: var(--text);
  background: var(--background);
  font: 1rem/1.55 var(--vicket-font, system-ui, sans-serif);
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
h1, h2, h3 { line-height: 1.25; margin: 0 0 .6em; text-wrap: balance; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 1.8em; } h3 { font-size: 1.05rem; }
:is(h1, h2):focus { outline: none; }
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
  width: 100%; font: inherit; color: inherit; background: light-dark(#fff, #17181d);
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
.prose { overflow-wrap: anywhere; }
.prose :is(pre, code) { background: var(--surface); border-radius: 4px; padding: .1em .3em; }
.prose pre { padding: .8em; overflow: auto; }
.prose img { max-width: 100%; height: auto; }
.prose table { border-collapse: collapse; } .prose :is(td, th) { border: 1px solid var(--border); padding: .3em .6em; text-align: start; }
.message { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.files { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .8rem; }
.files button { font-size: .9rem; padding: .3rem .8rem; overflow-wrap: anywhere; }
.agent { background: var(--surface); }
.developer { font: .85rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
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

/** HTML that the server sanitised. */
function prose(html: string): HTMLElement {
  const element = h("div", { class: "prose" });
  element.innerHTML = html;
  return element;
}

const day = (time: string) => new Date(time).toLocaleDateString(undefined, { dateStyle: "medium" });
const moment = (time: string) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const STATUS = { open: "Open", pending: "Waiting for you", resolved: "Solved", closed: "Closed" } as const;
const ROUTE = "#vicket-";
const HOME = `${ROUTE}home`;

// Where a server renders pages there are no elements; the module must load there all the same.
const Base = typeof HTMLElement === "undefined" ? (class {} as typeof HTMLElement) : HTMLElement;

export class VicketSupport extends Base {
  #client: SupportClient | undefined;
  #view: HTMLElement | undefined;
  #status: HTMLElement | undefined;
  #leaving = new AbortController();

  connectedCallback(): void {
    if (!this.#view) {
      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      this.#view = h("div");
      this.#status = h("p", { role: "status", class: "muted" });
      root.append(this.#view, this.#status);
    }
    this.#client = undefined;
    addEventListener("hashchange", this.#route);
    void this.#show(location.hash, false);
  }

  disconnectedCallback(): void {
    removeEventListener("hashchange", this.#route);
    this.#leaving.abort();
  }

  #route = (): void => {
    // Other links of the page have fragments, too.
    if (location.hash.startsWith(ROUTE) || location.hash === "") void this.#show(location.hash, true);
  };

  get #support(): SupportClient {
    const attribute = (name: string) => this.getAttribute(name) ?? undefined;
    this.#client ??= createClient({ url: attribute("server"), key: attribute("publishable-key"), nextKey: attribute("next-key") });
    return this.#client;
  }

  /** Shows what the fragment names. `moved`: a person went there, so focus goes along. */
  async #show(fragment: string, moved: boolean): Promise<void> {
    this.#leaving.abort();
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const route = fragment.startsWith(ROUTE) ? fragment.slice(ROUTE.length) : "home";
    const [name = ""] = route.split("=", 1);
    const argument = route.slice(name.length + 1);
    this.#say("Loading…");
    let content: Child[];
    try {
      if (name === "article") content = await this.#article(decode(argument), signal);
      else if (name === "ticket") content = await this.#thread(argument, signal);
      else if (name === "new") content = await this.#form(signal);
      else content = await this.#home(signal);
    } catch (error) {
      if (signal.aborted) return;
      content = [
        name !== "home" && back(),
        h("h1", { tabindex: -1 }, name === "ticket" ? "This ticket can't be shown" : "Support"),
        ...this.#failure(error),
        h("button", { class: "quiet", click: () => void this.#show(fragment, true) }, "Try again"),
      ];
    }
    if (signal.aborted) return;
    this.#say("");
    this.#view?.replaceChildren(...content.filter((child): child is Node | string => !!child));
    if (moved) this.#view?.querySelector<HTMLElement>("h1")?.focus();
  }

  #say(text: string): void {
    if (this.#status) this.#status.textContent = text;
  }

  /** What went wrong, for the person; on a developer's machine, why, too. */
  #failure(error: unknown): HTMLElement[] {
    const known = error instanceof SupportError;
    if (!known) console.error(error);
    const here = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname);
    const hint = known ? `${error.code}: ${error.hint}` : String(error);
    const message = known ? error.message : "Something went wrong on this page.";
    return [
      h("p", { class: "error", role: "alert" }, message),
      ...(here && !(known && error.errors.length) ? [h("p", { class: "card developer" }, `For the developer, on localhost only. ${hint}`)] : []),
    ];
  }

  // --- the start: search, articles, FAQs ---

  async #home(signal: AbortSignal): Promise<Child[]> {
    const [site, first, faqs] = await Promise.all([
      this.#support.site({ signal }),
      this.#support.articles({}, { signal }),
      this.#support.faqs({ signal }),
    ]);
    const found = h("ul", { class: "plain" });
    const more = h("button", { class: "quiet", click: () => void next() }, "Show more articles");
    const heading = h("h2", {}, "Articles");
    let query = "";
    let cursor: string | null = null;
    let searching = new AbortController();

    const show = (articles: ArticleSummary[], next: string | null, added = false) => {
      const items = articles.map((article) => h("li", {}, card(article)));
      if (added) found.append(...items);
      else found.replaceChildren(...items);
      cursor = next;
      more.hidden = cursor === null;
      heading.textContent = query ? `Articles about “${query}”` : "Articles";
    };
    const next = async () => {
      if (cursor === null) return;
      const last = found.lastElementChild;
      const page = await this.#support.articles({ ...(query && { q: query }), cursor }, { signal }).catch(report);
      if (!page) return;
      show(page.data, page.next_cursor, true);
      last?.nextElementSibling?.querySelector("a")?.focus();
    };
    const report = (error: unknown) => {
      if (!signal.aborted && !searching.signal.aborted) found.replaceChildren(h("li", {}, ...this.#failure(error)));
      more.hidden = true;
      this.#say("");
    };
    const search = async (text: string) => {
      if (text === query) return;
      query = text;
      searching.abort();
      searching = new AbortController();
      const current = AbortSignal.any([signal, searching.signal]);
      this.#say("Searching…");
      try {
        const page = await this.#support.articles(query ? { q: query } : {}, { signal: current });
        show(page.data, page.next_cursor);
        const count = page.data.length;
        this.#say(query ? (count ? `${count}${page.next_cursor ? " or more" : ""} found.` : "Nothing found. Try other words, or ask us.") : "");
      } catch (error) {
        if (!current.aborted) report(error);
      }
    };
    show(first.data, first.next_cursor);

    const input = h("input", { id: "q", type: "search", autocomplete: "off", placeholder: "What are you looking for?" });
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
      h("section", { "aria-label": "Articles" }, heading, first.data.length ? found : h("p", { class: "muted" }, "There are no articles yet."), more),
      faqs.length > 0 &&
        h(
          "section",
          { "aria-label": "Frequently asked questions" },
          h("h2", {}, "Frequently asked questions"),
          ...faqs.map((faq) => h("details", { class: "card" }, h("summary", {}, faq.question), prose(faq.answer_html))),
        ),
      h("h2", {}, "Still stuck?"),
      h("p", {}, h("a", { href: `${ROUTE}new` }, "Write to us")),
    ];
  }

  async #article(slug: string, signal: AbortSignal): Promise<Child[]> {
    const article = await this.#support.article(slug, { signal });
    return [
      back(),
      h("article", {}, h("h1", { tabindex: -1 }, article.title), h("p", { class: "muted" }, `Updated ${day(article.updated_at)}`), prose(article.body_html)),
      h("p", {}, "Did this not help? ", h("a", { href: `${ROUTE}new` }, "Write to us")),
    ];
  }

  // --- a new ticket ---

  async #form(signal: AbortSignal): Promise<Child[]> {
    const [site, templates] = await Promise.all([this.#support.site({ signal }), this.#support.templates({ signal })]);
    const { limits } = site;
    const questions = h("div");
    const form = h("form", {});
    const choose = h("select", { id: "template" }, h("option", { value: "" }, "Something else"), ...templates.map((template) => h("option", { value: template.id }, template.name)));
    const chosen = () => templates.find((template) => template.id === choose.value);
    choose.addEventListener("change", () => questions.replaceChildren(...asked(chosen())));

    form.append(
      ...(templates.length ? field("template", "What is it about?", choose) : []),
      ...field("email", "Your e-mail address", h("input", { id: "email", type: "email", required: true, autocomplete: "email", maxlength: limits.email })),
      ...field("name", "Your name (optional)", h("input", { id: "name", autocomplete: "name", maxlength: limits.name })),
      ...field("subject", "Subject", h("input", { id: "subject", required: true, maxlength: limits.subject })),
      questions,
      ...field("message", "Message", h("textarea", { id: "message", required: true, maxlength: limits.message })),
      ...fileField(),
    );
    this.#sends(form, "Send", async () => {
      const ticket: NewTicket = { email: value(form, "email"), subject: value(form, "subject"), message: value(form, "message") };
      const name = value(form, "name").trim();
      if (name) ticket.name = name;
      const template = chosen();
      if (template) {
        ticket.template_id = template.id;
        ticket.answers = answers(form, template.questions);
      }
      const made = await this.#support.submitTicket(ticket);
      const unsent = await this.#attach(made.token, made.message_id, form);
      const link = `${ROUTE}ticket=${made.token}`;
      this.#view?.replaceChildren(
        back(),
        h("h1", { tabindex: -1 }, "Thank you, we have your message"),
        h("p", {}, `It is ticket ${made.number}, “${made.subject}”.`),
        ...unsent,
        h("p", {}, "This link opens it. Keep it to yourself: whoever has it reads and answers the ticket."),
        h("p", {}, h("a", { href: link }, "Open the ticket")),
        copyButton(new URL(link, location.href).href),
      );
      this.#view?.querySelector<HTMLElement>("h1")?.focus();
    });
    return [back(), h("h1", { tabindex: -1 }, `Write to ${site.org_name}`), form];
  }

  // --- a ticket's conversation ---

  async #thread(token: string, signal: AbortSignal): Promise<Child[]> {
    const thread = await this.#support.thread(token, { signal });
    const status = h("span", {}, STATUS[thread.status]);
    const messages = h("ol", { class: "plain", "aria-label": "Messages" }, ...thread.messages.map((message) => this.#said(token, message)));
    const closed = thread.status === "closed";
    return [
      back(),
      h("h1", { tabindex: -1 }, thread.subject),
      h("p", { class: "muted" }, `Ticket ${thread.number} · `, status, ` · ${moment(thread.created_at)}`),
      messages,
      closed ? h("p", {}, "This conversation is closed. ", h("a", { href: `${ROUTE}new` }, "Start a new one")) : this.#reply(token, thread, messages, status),
    ];
  }

  #reply(token: string, thread: Thread, messages: HTMLElement, status: HTMLElement): HTMLElement {
    const form = h("form", {}, h("h2", {}, "Reply"));
    if (thread.status === "resolved") form.append(h("p", { class: "muted" }, "It is solved. A reply opens it again."));
    form.append(...field("body", "Your reply", h("textarea", { id: "body", required: true, maxlength: 20_000 })), ...fileField());
    const unsent = h("div");
    form.append(unsent);
    this.#sends(form, "Send reply", async () => {
      const message = await this.#support.reply(token, value(form, "body"));
      unsent.replaceChildren(...(await this.#attach(token, message.id, form)));
      const now = await this.#support.thread(token).catch(() => ({ ...thread, messages: [...thread.messages, message] }));
      messages.replaceChildren(...now.messages.map((message) => this.#said(token, message)));
      status.textContent = STATUS[now.status];
      form.reset();
      this.#say("Your reply was sent.");
    });
    return form;
  }

  /** Adds the form's files to a message that was sent; when that fails, the message stays, and this is what to say. */
  async #attach(token: string, messageId: string, form: HTMLFormElement): Promise<HTMLElement[]> {
    const files = [...(form.querySelector<HTMLInputElement>("#files")?.files ?? [])];
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
      h("p", { class: "message" }, message.body),
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
      for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
      for (const error of form.querySelectorAll(".of-field")) error.textContent = "";
      send()
        .catch((error: unknown) => {
          problems.replaceChildren(...this.#failure(error));
          const wrong = error instanceof SupportError ? error.errors : [];
          for (const { field, message } of wrong) {
            const name = field.replace(/^answers\./, "");
            const place = form.querySelector(`[id="${CSS.escape(name)}-error"]`);
            if (place) place.textContent = `This ${message}.`;
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

function back(): HTMLElement {
  return h("nav", { "aria-label": "Support" }, h("p", {}, h("a", { href: HOME }, "← All help")));
}

function card(article: ArticleSummary): HTMLElement {
  const href = `${ROUTE}article=${encodeURIComponent(article.slug)}`;
  return h("a", { class: "card", href }, h("strong", {}, article.title), h("p", { class: "muted" }, article.excerpt));
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

function fileField(): HTMLElement[] {
  return field("files", "Files (optional)", h("input", { id: "files", type: "file", multiple: true }));
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
