// A client for Vicket's support API, for browsers of 2024 or newer (AbortSignal.any) and for Node 20.3 or newer. It depends on
// nothing, and it is yours: change what you like. Its types come from the OpenAPI document and stand in support-api.ts.
//
//     const support = createClient();
//     const { data } = await support.articles({ q: "export" });
//
// The publishable key and the server's URL are options, or come from the environment: VITE_VICKET_KEY and VITE_VICKET_URL
// in Vite, NEXT_PUBLIC_VICKET_KEY and NEXT_PUBLIC_VICKET_URL in Next, VICKET_KEY and VICKET_URL elsewhere. The key is made
// to be seen: it reads what is published and submits tickets. `..._KEY_NEXT` is the next key while you rotate.
/** A call that got no good answer. `message` is for the person at the page, `hint` for the developer. */
export class SupportError extends Error {
    /** What went wrong, for programs. */
    code;
    /** What went wrong and what to do about it, for developers. */
    hint;
    /** The HTTP status; 0 when nothing answered. */
    status;
    /** Which input was at fault. */
    errors;
    /** Seconds until another try makes sense. */
    retryAfter;
    /** Quote it when you ask for help; empty when nothing answered. */
    requestId;
    constructor(problem, retryAfter = 0, cause) {
        super(forPeople(problem.code, retryAfter), { cause });
        this.name = "SupportError";
        this.code = problem.code;
        this.hint = problem.detail;
        this.status = problem.status ?? 0;
        this.errors = problem.errors ?? [];
        this.requestId = problem.request_id ?? "";
        this.retryAfter = retryAfter;
    }
}
function forPeople(code, seconds) {
    switch (code) {
        case "rate_limited":
            return `That was a lot at once. Please try again in ${seconds > 90 ? `${Math.ceil(seconds / 60)} minutes` : `${seconds || 60} seconds`}.`;
        case "unreachable":
        case "timeout":
            return "We can't be reached right now. Please check your connection and try again.";
        case "not_found":
            return "We could not find that.";
        case "identity_required":
            return "Please log in to write to us.";
        case "identity_invalid":
        case "customer_session_invalid":
            return "Please log in again to see your tickets.";
        case "ticket_closed":
            return "This conversation is closed. Please start a new one.";
        case "ticket_full":
            return "This conversation is full. Please start a new one.";
        case "invalid_request":
        case "unprocessable":
            return "Please check what you entered.";
        case "body_too_large":
            return "That is too large to be sent.";
        case "quota_exceeded":
            return "No more files can be added right now. Please send your message without them.";
        case "key_missing":
        case "key_invalid":
        case "origin_not_allowed":
            return "Support is not available on this page right now.";
        default:
            return "Something went wrong on our side. Please try again in a moment.";
    }
}
const inVite = () => ({
    key: import.meta.env?.VITE_VICKET_KEY,
    nextKey: import.meta.env?.VITE_VICKET_KEY_NEXT,
    url: import.meta.env?.VITE_VICKET_URL,
});
const elsewhere = () => typeof process === "undefined"
    ? {}
    : {
        key: process.env.NEXT_PUBLIC_VICKET_KEY || process.env.VICKET_KEY,
        nextKey: process.env.NEXT_PUBLIC_VICKET_KEY_NEXT || process.env.VICKET_KEY_NEXT,
        url: process.env.NEXT_PUBLIC_VICKET_URL || process.env.VICKET_URL,
    };
function setting(name, given) {
    return (given[name] || inVite()[name] || elsewhere()[name] || "").trim();
}
/** Seconds that a call waits at most because the server asked for it; a longer wait is the caller's to decide. */
const PATIENCE = 5;
/** Milliseconds within which the same text sent again is the same wish: a double click, or another try after a failure. */
const DOUBLE_CLICK = 10_000;
const ANOTHER_TRY = 600_000;
/** What a header can hold, of keys and tokens. */
const SENDABLE = /^[!-~]+$/;
class Client {
    #keys;
    #url;
    #timeout;
    #retries;
    /** The `Idempotency-Key` of each text that was sent, and until when a repeat has the same one. */
    #sent = new Map();
    #key;
    #identity;
    #session;
    #customer;
    /** The question to `key/check` that is under way: calls that fail together ask once. */
    #checking;
    constructor(options) {
        // A key of the environment never stands in for one that was given: it may be another site's.
        const next = options.key ? options.nextKey : setting("nextKey", options);
        this.#keys = [setting("key", options), (next ?? "").trim()].filter(Boolean);
        this.#url = setting("url", options).replace(/\/+$/, "");
        this.#timeout = options.timeout ?? 15_000;
        this.#retries = options.retries ?? 2;
        if (!this.#keys[0] || !this.#url) {
            throw new Error("Vicket: no key or no URL. Set VITE_VICKET_KEY and VITE_VICKET_URL (Vite), NEXT_PUBLIC_VICKET_KEY and " +
                "NEXT_PUBLIC_VICKET_URL (Next) or VICKET_KEY and VICKET_URL, or pass `key` and `url`.");
        }
        if (!this.#keys.every((key) => SENDABLE.test(key))) {
            throw new Error("Vicket: the key has a character that no key has. Copy it once more.");
        }
        this.#key = this.#keys[0];
    }
    /** The site's name and what a support page needs to draw itself. */
    site(options) {
        return this.#call("GET", "site", { options });
    }
    /** A page of published articles; `q` searches them. */
    articles(query, options) {
        return this.#call("GET", "help/articles", { query, options });
    }
    /** An article to read. Its `body_html` was sanitised by the server. */
    article(slug, options) {
        return this.#call("GET", `help/articles/${encodeURIComponent(slug)}`, { options });
    }
    /** Every frequently asked question, in order; `q` searches them. */
    async faqs(query, options) {
        return (await this.#call("GET", "help/faqs", { query, options })).data;
    }
    /** The ticket forms of the site. */
    async templates(options) {
        return (await this.#call("GET", "templates", { options })).data;
    }
    /** Who `identify` said the customer is. */
    get customer() {
        return this.#customer;
    }
    /**
     * Says who the customer is, by a token that your server signed: from now on tickets are submitted as theirs, and `myTickets`
     * lists them. `null` when they log out: the session is ended.
     */
    async identify(identity) {
        const ended = this.#session;
        this.#identity = identity ?? undefined;
        this.#session = this.#customer = undefined;
        if (identity === null) {
            if (ended)
                await this.#call("POST", "identity/end", { session: ended }, async () => undefined).catch(() => undefined);
            return undefined;
        }
        return this.#open(identity);
    }
    async #open(identity) {
        const token = typeof identity === "string" ? identity : await identity();
        const { session, ...customer } = await this.#call("POST", "identity", { body: { token } });
        if (this.#identity === identity)
            [this.#session, this.#customer] = [session, customer];
        return customer;
    }
    /** The customer's tickets, the newest first, after `identify`. Each is read and answered by its id. */
    myTickets(query, options) {
        return this.#call("GET", "tickets", { mine: true, query, options });
    }
    /** The customer has one of their tickets open: none of its answers is unread. */
    markRead(id, options) {
        return this.#call("POST", `tickets/${encodeURIComponent(id)}/read`, { mine: true, options }, async () => undefined);
    }
    /** Submits a ticket, the customer's after `identify`. A double click or a retry makes one ticket. */
    submitTicket(ticket, options) {
        return this.#submit("tickets", { mine: true, body: ticket, options });
    }
    /**
     * A ticket with the newest messages of its conversation; `next_cursor`, as `cursor`, leads to older ones. `ticket` is the
     * token that `submitTicket` answered, `tk_` and 43 characters; after `identify`, also the id of one of the customer's.
     */
    thread(ticket, query, options) {
        return this.#call("GET", place(ticket, ""), { ticket, query, options });
    }
    /** Answers a ticket; one that is resolved opens again. */
    reply(ticket, body, options) {
        return this.#submit(place(ticket, "/messages"), { ticket, body: { body }, options });
    }
    /** Adds files to a message that the customer wrote in the last hour: `message_id` of a new ticket, or `id` of a reply. */
    async attach(ticket, messageId, files, options) {
        const body = new FormData();
        for (const file of files)
            body.append("file", file, file.name);
        const path = place(ticket, `/messages/${encodeURIComponent(messageId)}/attachments`);
        const once = { idempotencyKey: crypto.randomUUID(), ...options };
        return (await this.#call("POST", path, { ticket, body, options: once })).data;
    }
    /** A file of a ticket. Offer it as a download: what a stranger sent is not to be opened within your page. */
    attachment(ticket, id, options) {
        const path = place(ticket, `/attachments/${encodeURIComponent(id)}`);
        return this.#call("GET", path, { ticket, options }, (response) => response.blob());
    }
    /** Why the key works from this page, or why it does not. */
    checkKey(options) {
        return this.#call("GET", "key/check", { options });
    }
    async #submit(path, request) {
        const given = request.options?.idempotencyKey;
        if (given)
            return this.#call("POST", path, request);
        const now = Date.now();
        for (const [text, { until }] of this.#sent)
            if (until < now)
                this.#sent.delete(text);
        const text = JSON.stringify([path, request.ticket, request.body]);
        const key = this.#sent.get(text)?.key ?? crypto.randomUUID();
        this.#sent.set(text, { key, until: now + ANOTHER_TRY });
        const answer = await this.#call("POST", path, { ...request, options: { ...request.options, idempotencyKey: key } });
        this.#sent.set(text, { key, until: Date.now() + DOUBLE_CLICK });
        return answer;
    }
    async #call(method, path, request, read = (response) => response.json()) {
        const { query, body, ticket = "", options: { signal, idempotencyKey } = {} } = request;
        const mine = request.mine || (ticket && !isToken(ticket));
        const asked = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null);
        const url = `${this.#url}/support/v1/${path}${asked.length ? `?${new URLSearchParams(asked)}` : ""}`;
        const headers = {};
        // The server says of a ticket without a token what it says of one with a wrong token.
        if (isToken(ticket) && SENDABLE.test(ticket))
            headers["X-Vicket-Ticket"] = ticket;
        if (idempotencyKey)
            headers["Idempotency-Key"] = idempotencyKey;
        const files = body instanceof FormData;
        if (body && !files)
            headers["Content-Type"] = "application/json";
        const timeout = this.#timeout * (files || path.includes("/attachments/") ? 10 : 1);
        const refused = new Set();
        let renewed = false;
        for (let tries = 0;;) {
            signal?.throwIfAborted();
            const key = this.#key;
            const session = request.session ?? (mine ? this.#session : undefined);
            const patience = AbortSignal.timeout(timeout);
            let error;
            try {
                const response = await fetch(url, {
                    method,
                    headers: { ...headers, "X-Vicket-Key": key, ...(session && { "X-Vicket-Customer": session }) },
                    ...(body && { body: files ? body : JSON.stringify(body) }),
                    signal: signal ? AbortSignal.any([signal, patience]) : patience,
                    // Neither cookies nor the page's address are the server's business.
                    credentials: "omit",
                    referrerPolicy: "no-referrer",
                    // Nor are key and token that of another host.
                    redirect: "error",
                });
                if (response.ok)
                    return await read(response);
                error = await refusal(response);
                // A session that ended: whoever can ask for another token opens the next.
                const identity = this.#identity;
                if (error.code === "customer_session_invalid" && typeof identity === "function" && mine && !renewed) {
                    renewed = true;
                    await this.#open(identity);
                    continue;
                }
                // A refused key, also one that was refused too often: the other one may be good.
                if (error.code.startsWith("key_") || (response.status === 429 && response.headers.get("RateLimit")?.includes("refused"))) {
                    refused.add(key);
                    const other = this.#keys.find((known) => !refused.has(known));
                    if (other) {
                        this.#key = other;
                        continue;
                    }
                    console.error(`Vicket: ${error.hint}`);
                }
            }
            catch (cause) {
                signal?.throwIfAborted();
                if (patience.aborted) {
                    error = new SupportError({ code: "timeout", detail: `No answer within ${timeout} ms.` });
                }
                else if (cause instanceof SyntaxError) {
                    error = new SupportError({ code: "unreadable", detail: `${this.#url} answers, but not as Vicket does. Is the URL right?` }, 0, cause);
                }
                else {
                    error = await unlessAborted(this.#diagnose(path, tries, cause), signal);
                }
            }
            const passing = error.status === 429 || error.status >= 500 || error.code === "timeout" || error.code === "unreachable";
            if (!passing || tries >= this.#retries || error.retryAfter > PATIENCE)
                throw error;
            const wait = Math.max(error.retryAfter * 1000, 300 * 2 ** tries * (0.5 + Math.random()));
            await unlessAborted(new Promise((resolve) => setTimeout(resolve, wait)), signal);
            tries += 1;
        }
    }
    /** A browser says nothing of why a call failed; `key/check` may be read from any page. */
    async #diagnose(path, tries, cause) {
        const why = [cause, cause.cause].filter(Boolean).join(", ");
        const unreachable = new SupportError({
            code: "unreachable",
            detail: `${this.#url} did not answer (${why}). Is the URL right and without a redirect, does the server run, and does the page's Content-Security-Policy let it connect there?`,
        }, 0, cause);
        if (!("location" in globalThis) || path === "key/check" || tries > 0)
            return unreachable;
        this.#checking ??= this.checkKey()
            .catch((error) => error)
            .finally(() => (this.#checking = undefined));
        const check = await this.#checking;
        let error = unreachable;
        if (check instanceof SupportError) {
            if (check.status)
                error = check;
        }
        else if (check instanceof Object && "works" in check) {
            const { works, detail } = check;
            if (works)
                return unreachable;
            error = new SupportError({ code: "origin_not_allowed", detail, status: 403 });
        }
        console.error(`Vicket: ${error.hint}`);
        return error;
    }
}
/** A token, and not an id. */
const isToken = (ticket) => ticket.startsWith("tk_");
/** Where a ticket is: behind its token, or by its id among the customer's. */
const place = (ticket, rest) => (isToken(ticket) ? `tickets/thread${rest}` : `tickets/${encodeURIComponent(ticket)}${rest || "/thread"}`);
async function refusal(response) {
    const problem = (await response.json().catch(() => ({})));
    const detail = problem.detail ?? `The server answered ${response.status}.`;
    const after = response.headers.get("Retry-After") ?? "";
    const retryAfter = Number(after) || Math.max(0, Math.ceil((Date.parse(after) - Date.now()) / 1000)) || 0;
    return new SupportError({ ...problem, status: response.status, code: problem.code ?? "internal_error", detail }, retryAfter);
}
/** As `promise`, but rejects with the signal's reason as soon as there is one. */
function unlessAborted(promise, signal) {
    if (!signal)
        return promise;
    return new Promise((resolve, reject) => {
        const abort = () => reject(signal.reason);
        if (signal.aborted)
            abort();
        signal.addEventListener("abort", abort);
        promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
}
/** Makes a client; throws when it has no key or no URL. */
export function createClient(options = {}) {
    return new Client(options);
}
