// The launcher: a button on every page of a site, and <vicket-support> in a panel behind it. The server serves it, with the element
// and the client in one file, as /v1/widget.js:
//
//     <script src="https://support.example.com/v1/widget.js" data-key="pk_..." async></script>
//
// `data-next-key` is the next key while you rotate; `data-label` and `data-position="left"` say how the button looks, and
// `data-launcher="none"` that the page has one of its own and calls `vicket.open()`. Colours are the variables of the element.

import { createClient, type Identity } from "./support-client.js";
import { type Prefill, VicketSupport } from "./vicket-support.js";

const STYLE = `
:host { position: fixed; z-index: 2147483000; inset-block-end: 1rem; inset-inline-end: 1rem; color-scheme: inherit; }
:host([data-position=left]) { inset-inline: 1rem auto; }
button { font: 600 1rem/1.2 var(--vicket-font, system-ui, sans-serif); cursor: pointer; }
button:focus-visible { outline: 3px solid var(--vicket-accent, light-dark(#3f4bc4, #a5adff)); outline-offset: 2px; }
#launch {
  color: var(--vicket-on-accent, light-dark(#fff, #14152b)); background: var(--vicket-accent, light-dark(#3f4bc4, #a5adff));
  border: 0; border-radius: 99px; padding: .8rem 1.3rem; min-height: 3rem; box-shadow: 0 2px 12px #0005;
}
#unread { background: #fff; color: #8c1d18; border-radius: 99px; padding: .1rem .5rem; margin-inline-start: .5rem; font-size: .85rem; }
#unread:empty { display: none; }
dialog {
  box-sizing: border-box; margin: 0; padding: 0; border: 0; position: fixed; inset: auto 1rem 1rem auto; width: min(26rem, 100vw - 2rem);
  height: min(44rem, 100dvh - 2rem); max-width: none; max-height: none; border-radius: 14px; box-shadow: 0 8px 40px #0006; overflow: hidden;
  color: var(--vicket-text, light-dark(#1c1d22, #ececf1)); background: var(--vicket-panel, light-dark(#fff, #17181d)); flex-direction: column;
}
:host([data-position=left]) dialog { inset-inline: 1rem auto; }
dialog[open] { display: flex; }
dialog::backdrop { background: #0003; }
header { display: flex; justify-content: space-between; align-items: center; padding: .5rem .6rem .5rem 1.1rem; gap: .5rem; border-bottom: 1px solid var(--vicket-border, light-dark(#d9dae1, #3b3d48)); }
header strong { font: 600 1rem/1.2 var(--vicket-font, system-ui, sans-serif); }
header button { color: inherit; background: none; border: 0; border-radius: 8px; min-width: 2.75rem; min-height: 2.75rem; }
#content { overflow: auto; flex: 1; padding: 1rem 1.1rem 2rem; overscroll-behavior: contain; }
@media (max-width: 30rem) {
  dialog, :host([data-position=left]) dialog { inset: 0; width: 100vw; height: 100dvh; border-radius: 0; }
}
`;

/** How long a count of answers is good, milliseconds. */
const FRESH = 60_000;

/** What pages call, as `vicket`. */
export interface VicketWidget {
  open(): void;
  close(): void;
  show(what: "home" | "new" | "article" | "ticket", which?: string): void;
  prefill(values: Prefill): void;
  /** Who the customer is, by a token that your server signed, or by what fetches one; `null` when they log out. */
  identify(identity: Identity | null): Promise<void>;
}

declare global {
  // eslint-disable-next-line no-var
  var vicket: VicketWidget | undefined;
}

function start(script: HTMLScriptElement): void {
  const { key, nextKey, label = "Help", position, launcher } = script.dataset;
  if (!key) return console.error("Vicket: the script needs data-key, the site's publishable key.");
  const url = new URL(".", new URL("..", script.src)).href.replace(/\/+$/, "");
  const client = createClient({ url, key, nextKey });

  const host = document.createElement("div");
  host.id = "vicket-launcher";
  if (position) host.dataset.position = position;
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const make = <Tag extends keyof HTMLElementTagNameMap>(tag: Tag, attributes: Record<string, string>, ...children: (Node | string)[]) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const unread = make("span", { id: "unread" });
  const button = make("button", { id: "launch", type: "button", "aria-haspopup": "dialog", "aria-expanded": "false" }, label, " ", unread);
  const dismiss = make("button", { type: "button", "aria-label": "Close" }, "✕");
  const content = make("div", { id: "content" });
  const panel = make("dialog", { "aria-label": label }, make("header", {}, make("strong", {}, label), dismiss), content);
  button.hidden = launcher === "none";
  root.append(button, panel);

  let support: VicketSupport | undefined;
  const element = (): VicketSupport => {
    if (!support) {
      support = make("vicket-support", { server: url, "publishable-key": key, routing: "memory", remembers: "", ...(nextKey && { "next-key": nextKey }) });
      support.client = client;
      content.append(support);
    }
    return support;
  };
  let counted = 0;
  const count = async (): Promise<void> => {
    if (document.hidden || Date.now() - counted < FRESH || (!client.customer && VicketSupport.remembered(key).length === 0)) return;
    counted = Date.now();
    say(client.customer ? await mine() : await VicketSupport.look(client, key));
  };
  // The newest page of the customer's tickets has what is new.
  const mine = async (): Promise<number> => (await client.myTickets().catch(() => ({ data: [] }))).data.reduce((sum, { unread }) => sum + unread, 0);
  const say = (answers: number): void => {
    unread.textContent = answers ? `${answers} new` : "";
  };
  const api: VicketWidget = {
    open() {
      element();
      // A dialog of the browser's own: focus stays within, Escape closes, and what is behind it is out of reach.
      if (!panel.open) panel.showModal();
      button.setAttribute("aria-expanded", "true");
    },
    close: () => panel.close(),
    show(what, which) {
      api.open();
      element().show(what, which);
    },
    prefill: (values) => element().prefill(values),
    async identify(identity) {
      await client.identify(identity);
      support?.refresh();
      counted = 0;
      unread.textContent = "";
      await count();
    },
  };
  button.addEventListener("click", api.open);
  dismiss.addEventListener("click", api.close);
  panel.addEventListener("click", (event) => event.target === panel && panel.close());
  panel.addEventListener("close", () => {
    button.setAttribute("aria-expanded", "false");
    counted = 0;
    if (client.customer) void count();
    else say(VicketSupport.remembered(key).filter((ticket) => ticket.unread).length);
  });
  document.addEventListener("visibilitychange", () => void count());

  document.body.append(host);
  globalThis.vicket = api;
  // A link to a ticket opens it.
  if (location.hash.includes("#vicket-ticket=")) api.open();
  void count();
  document.dispatchEvent(new CustomEvent("vicket:loaded"));
}

// The script that this file is; one that was added as a module has no `currentScript`.
const script = document.currentScript ?? document.querySelector("script[data-key][src*='/v1/widget']");
if (script instanceof HTMLScriptElement && !globalThis.vicket) {
  if (document.body) start(script);
  else document.addEventListener("DOMContentLoaded", () => start(script));
}
