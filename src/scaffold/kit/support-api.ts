// The types of Vicket's support API, version 1.0.0. Generated from its OpenAPI document: change
// nothing here. `vicket scaffold DIR --force` writes it anew.

export interface components {
  schemas: {
    /** @description An article to read. */
    Article: {
      /**
       * Format: uuid
       * @description Its id.
       */
      id: string;
      /** @description Its name in URLs. */
      slug: string;
      /** @description Its title, plain text. */
      title: string;
      /** @description Its beginning, plain text, at most 200 characters. */
      excerpt: string;
      /**
       * Format: int64
       * @description How often it was read; a second late at the most, where several processes serve half a minute.
       */
      view_count: number;
      /**
       * Format: date-time
       * @description When it was first published.
       */
      published_at: string;
      /**
       * Format: date-time
       * @description When it was last changed.
       */
      updated_at: string;
      /** @description The text as it was written, Markdown. */
      body_markdown: string;
      /** @description The text rendered and sanitised: safe to insert into a page. */
      body_html: string;
    };
    /** @description A page of articles. */
    ArticlePage: {
      /** @description The articles. */
      data: components["schemas"]["ArticleSummary"][];
      /** @description Pass it as `cursor` for the next page; `null` on the last one. */
      next_cursor: string | null;
      /** @description What was searched for in place of `q`, which found nothing: a word that differs from it in one letter. Else `null`. */
      searched_for: string | null;
    };
    /** @description An article in a list. */
    ArticleSummary: {
      /**
       * Format: uuid
       * @description Its id.
       */
      id: string;
      /** @description Its name in URLs; `GET /support/v1/help/articles/{slug}` reads it. */
      slug: string;
      /** @description Its title, plain text. */
      title: string;
      /** @description Its beginning, plain text, at most 200 characters. */
      excerpt: string;
      /**
       * Format: int64
       * @description How often it was read; a few seconds late.
       */
      view_count: number;
      /**
       * Format: date-time
       * @description When it was first published.
       */
      published_at: string;
      /**
       * Format: date-time
       * @description When it was last changed.
       */
      updated_at: string;
    };
    /** @description A file on a message. */
    Attachment: {
      /**
       * Format: uuid
       * @description Its id; `GET /support/v1/tickets/thread/attachments/{id}` reads it.
       */
      id: string;
      /** @description Its name, plain text. Escape it before it goes into a page. */
      name: string;
      /**
       * Format: int64
       * @description Its size in bytes.
       */
      size: number;
      /**
       * @description What it is by its content: `image/png`, `image/jpeg`, `image/gif`, `image/webp`, `application/pdf`, `text/plain`, or
       *   `application/octet-stream` for anything else.
       */
      content_type: string;
      /**
       * Format: date-time
       * @description When it was added.
       */
      created_at: string;
    };
    /** @description The files that were added. */
    AttachmentList: {
      /** @description The files, in the order in which they were sent. */
      data: components["schemas"]["Attachment"][];
      /** @description Always `null`: one answer holds them all. */
      next_cursor: string | null;
    };
    /**
     * @description Who wrote a message.
     * @enum {string}
     */
    Author: "customer" | "agent";
    /** @description A customer session. */
    CustomerSession: {
      /** @description The session: `cs_` and 43 characters, for `X-Vicket-Customer` beside the key. Shown once. */
      session: string;
      /**
       * Format: date-time
       * @description When it ends.
       */
      expires_at: string;
      /**
       * Format: email
       * @description The address that tickets are submitted under.
       */
      email: string;
      /** @description Their name, if the token said one. */
      name: string | null;
    };
    /**
     * @description A part of an origin.
     * @enum {string}
     */
    Difference: "scheme" | "host" | "port" | "www" | "trailing_slash";
    /** @description A frequently asked question. */
    Faq: {
      /**
       * Format: uuid
       * @description Its id.
       */
      id: string;
      /** @description The question, plain text. */
      question: string;
      /** @description The answer as it was written, Markdown. */
      answer_markdown: string;
      /** @description The answer rendered and sanitised: safe to insert into a page. */
      answer_html: string;
      /**
       * Format: int32
       * @description Its place in the order of the page, ascending.
       */
      position: number;
    };
    /** @description The FAQs of a site, in the order of the page. */
    FaqList: {
      /** @description The FAQs. */
      data: components["schemas"]["Faq"][];
      /** @description Always `null`: one answer holds them all. */
      next_cursor: string | null;
    };
    /** @description One input that is not acceptable. */
    FieldError: {
      /** @description The body field, query parameter or header. */
      field: string;
      /** @description What is wrong with it. */
      message: string;
    };
    /** @description What files may go with a message, so that a form can say so before one is chosen. */
    FileLimits: {
      /**
       * Format: uint64
       * @description How many.
       */
      max_files: number;
      /**
       * Format: uint64
       * @description How large one may be, bytes.
       */
      max_bytes: number;
      /**
       * Format: uint64
       * @description How large all of a message may be together, bytes, with what stands around them in the request.
       */
      max_message_bytes: number;
      /** @description What is shown as what it is, by its content. All else is taken, too, and is served as bytes to save. */
      types: string[];
    };
    /** @description The longest input that a ticket takes: texts in characters. */
    InputLimits: {
      /**
       * Format: uint64
       * @description Of an e-mail address.
       */
      email: number;
      /**
       * Format: uint64
       * @description Of a customer's name.
       */
      name: number;
      /**
       * Format: uint64
       * @description Of a subject.
       */
      subject: number;
      /**
       * Format: uint64
       * @description Of a message or a reply.
       */
      message: number;
      /** @description What files may go with one. */
      files: components["schemas"]["FileLimits"];
    };
    /** @description What a key may do from the origin of this request. */
    KeyCheck: {
      /** @description Whether calls with this key from this origin are served. */
      works: boolean;
      /** @description Which of the site's keys it is. */
      key: components["schemas"]["KeyState"];
      /** @description The origin of this request; `null` when it sent none, as servers and command lines do. */
      origin: string | null;
      /** @description Whether the site lists the origin; `null` without one. */
      origin_listed: boolean | null;
      /** @description In what the origin differs from the nearest one that the site lists; empty when it is listed. */
      differs: components["schemas"]["Difference"][];
      /** @description What to do, for people. */
      detail: string;
    };
    /**
     * @description Which of a site's keys.
     * @enum {string}
     */
    KeyState: "active" | "staged";
    /** @description A message of a conversation. */
    Message: {
      /**
       * Format: uuid
       * @description Its id.
       */
      id: string;
      /** @description Who wrote it. */
      author: components["schemas"]["Author"];
      /** @description The writer's name, if known. */
      author_name: string | null;
      /** @description The text: plain, as it was written. Escape it before it goes into a page. */
      body: string;
      /**
       * @description The same, sanitised: safe to insert into a page. An agent's text is Markdown, a customer's is plain; in both, lines end
       *   where they were ended, and addresses of pages are links.
       */
      body_html: string;
      /**
       * Format: date-time
       * @description When it was written.
       */
      created_at: string;
      /** @description Its files, oldest first; `GET /support/v1/tickets/thread/attachments/{id}` reads one. */
      attachments: components["schemas"]["Attachment"][];
    };
    /** @description A ticket in a customer's list. */
    MyTicket: {
      /**
       * Format: uuid
       * @description Its id.
       */
      id: string;
      /**
       * Format: int64
       * @description Its number within the site.
       */
      number: number;
      /** @description Its reference, for people, such as `APP-21`. */
      reference: string;
      /** @description Its subject. */
      subject: string;
      /** @description Where it stands. */
      status: components["schemas"]["TicketStatus"];
      /**
       * Format: date-time
       * @description When it was submitted.
       */
      created_at: string;
      /**
       * Format: date-time
       * @description When the customer or the team last wrote.
       */
      last_activity_at: string;
      /**
       * Format: int64
       * @description Answers of the team since the customer last opened it.
       */
      unread: number;
    };
    /** @description A customer's reply. */
    NewMessage: {
      /** @description The text, plain. */
      body: string;
    };
    /** @description What a customer submits. */
    NewTicket: {
      /**
       * Format: email
       * @description Where answers go. By a customer session it is the proven one, whatever is said here; else it is needed.
       */
      email?: string | null;
      /** @description The customer's name. */
      name?: string | null;
      /** @description What it is about, in a line. */
      subject: string;
      /** @description What it is about, at length; plain text. */
      message: string;
      /**
       * Format: uuid
       * @description The ticket form that was filled in, one that the site offers.
       */
      template_id?: string | null;
      /**
       * @description The answers to the form's questions, by the question's id: text, the id of an option, `true` or `false`, or a day as
       *   `YYYY-MM-DD`.
       */
      answers?: {
        [key: string]: string | boolean;
      } | null;
    };
    /** @description A page of a list. */
    Page_MyTicket: {
      /** @description The entries. */
      data: components["schemas"]["MyTicket"][];
      /** @description Pass it as `cursor` for the next page; `null` on the last one. */
      next_cursor: string | null;
    };
    /** @description What went wrong (RFC 9457, `application/problem+json`). */
    Problem: {
      /** @description Names the kind of problem; the same for every problem of one `code`. */
      type: string;
      /** @description The kind of problem in a few words. */
      title: string;
      /**
       * Format: uint16
       * @description The HTTP status.
       */
      status: number;
      /** @description What happened and what to do about it, for people. */
      detail: string;
      /** @description What went wrong, for programs: stable, snake_case. */
      code:
        | "invalid_request"
        | "invalid_cursor"
        | "credentials_mixed"
        | "key_missing"
        | "key_invalid"
        | "identity_invalid"
        | "identity_required"
        | "customer_session_invalid"
        | "session_required"
        | "session_invalid"
        | "login_failed"
        | "machine_key_invalid"
        | "signature_invalid"
        | "origin_not_allowed"
        | "permission_required"
        | "secret_key_in_browser"
        | "csrf_failed"
        | "not_found"
        | "method_not_allowed"
        | "key_exists"
        | "staged_key_exists"
        | "rotation_conflict"
        | "no_active_key"
        | "slug_taken"
        | "name_taken"
        | "edit_conflict"
        | "email_taken"
        | "last_owner"
        | "idempotency_conflict"
        | "ticket_closed"
        | "conversation_moved"
        | "ticket_full"
        | "body_too_large"
        | "quota_exceeded"
        | "unsupported_media_type"
        | "unprocessable"
        | "rate_limited"
        | "internal_error"
        | "overloaded"
        | "database_unavailable"
        | (string & {});
      /** @description The answer's `X-Request-Id`: quote it when asking for help. */
      request_id: string;
      /** @description Which input is at fault; only with `invalid_request` and `unprocessable`. */
      errors?: components["schemas"]["FieldError"][];
    };
    /** @description Who somebody is. */
    Proof: {
      /**
       * @description A JWT that the site's server signed: EdDSA, ES256 or RS256 by a key of the site's JWKS, or HS256 by its identity secret.
       *   Its claims: `sub`, `email`, `name` (may be left out), `iat` and `exp` at most five minutes apart, `aud`: the id of the
       *   site, and `jti`, taken once.
       */
      token: string;
    };
    /** @description A question of a form. */
    Question: {
      /**
       * Format: uuid
       * @description Its id: what a ticket's `answers` are named by.
       */
      id: string;
      /** @description Its text. */
      label: string;
      /** @description How it is answered. */
      type: components["schemas"]["QuestionType"];
      /** @description Whether it must be answered; a checkbox must be ticked. */
      required: boolean;
      /**
       * Format: int32
       * @description Its place in the form, from 1.
       */
      position: number;
      /** @description What may be chosen; empty but for `select`. */
      options: components["schemas"]["QuestionOption"][];
    };
    /** @description What may be chosen. */
    QuestionOption: {
      /**
       * Format: uuid
       * @description Its id: what a ticket's `answers` hold.
       */
      id: string;
      /** @description Its text. */
      label: string;
    };
    /**
     * @description How a question is answered.
     * @enum {string}
     */
    QuestionType: "text" | "textarea" | "select" | "checkbox" | "date";
    /** @description A site, as its support page shows it. */
    Site: {
      /** @description The site's name, for a heading. */
      name: string;
      /** @description The site's slug within its org. */
      slug: string;
      /** @description The name of the org that runs the site. */
      org_name: string;
      /**
       * Format: int64
       * @description How many articles can be read here.
       */
      article_count: number;
      /**
       * Format: int64
       * @description How many FAQs can be read here.
       */
      faq_count: number;
      /** @description The longest input that a ticket takes. */
      limits: components["schemas"]["InputLimits"];
    };
    /**
     * @description The order of a list of articles.
     * @enum {string}
     */
    Sort: "newest" | "popular";
    /** @description A ticket that was submitted. */
    SubmittedTicket: {
      /**
       * Format: uuid
       * @description Its id.
       */
      id: string;
      /**
       * Format: int64
       * @description Its number within the site.
       */
      number: number;
      /** @description Its reference, for people: its site's prefix, a hyphen and its number, such as `APP-21`; unique in the org. */
      reference: string;
      /** @description Where it stands. */
      status: components["schemas"]["TicketStatus"];
      /** @description Its subject. */
      subject: string;
      /**
       * Format: date-time
       * @description When it was submitted.
       */
      created_at: string;
      /**
       * Format: uuid
       * @description The id of its first message, to which files can be attached.
       */
      message_id: string;
      /** @description The ticket's token: `tk_` and 43 characters. Whoever holds it reads and answers this ticket. Shown once. */
      token: string;
    };
    /** @description A ticket form. */
    Template: {
      /**
       * Format: uuid
       * @description Its id: a ticket's `template_id`.
       */
      id: string;
      /** @description Its name. */
      name: string;
      /** @description What it is for. */
      description: string;
      /** @description What it asks, in order. */
      questions: components["schemas"]["Question"][];
    };
    /** @description The ticket forms of the site. */
    TemplateList: {
      /** @description The forms, by name. */
      data: components["schemas"]["Template"][];
      /** @description Always `null`: all forms are on one page. */
      next_cursor: string | null;
    };
    /** @description A ticket with a page of its conversation. */
    Thread: {
      /**
       * Format: uuid
       * @description Its id.
       */
      id: string;
      /**
       * Format: int64
       * @description Its number within the site.
       */
      number: number;
      /** @description Its reference, for people: its site's prefix, a hyphen and its number, such as `APP-21`; unique in the org. */
      reference: string;
      /** @description Its subject. */
      subject: string;
      /** @description Where it stands. */
      status: components["schemas"]["TicketStatus"];
      /**
       * Format: date-time
       * @description When it was submitted.
       */
      created_at: string;
      /** @description The newest messages, or those before `cursor`; the oldest of them first. Notes between agents are not in it. */
      messages: components["schemas"]["Message"][];
      /** @description Pass it as `cursor` for older messages; `null` when there are none. */
      next_cursor: string | null;
    };
    /**
     * @description Where a ticket stands.
     * @enum {string}
     */
    TicketStatus: "open" | "pending" | "resolved" | "closed";
    /** @description The query of `listArticles`. */
    ListArticlesQuery: {
      /**
       * Format: uint32
       * @description How many articles a page holds; 20 when absent.
       */
      limit?: number;
      /** @description `next_cursor` of the page before. */
      cursor?: string;
      /** @description What to search for. */
      q?: string;
      /** @description The order; `newest` when absent, best match first when absent with `q`. */
      sort?: components["schemas"]["Sort"];
    };
    /** @description The query of `listFaqs`. */
    ListFaqsQuery: {
      /** @description What to search for. */
      q?: string;
    };
    /** @description The query of `listMyTickets`. */
    ListMyTicketsQuery: {
      /**
       * Format: uint32
       * @description How many entries a page holds; 20 when absent.
       */
      limit?: number;
      /** @description `next_cursor` of the page before. */
      cursor?: string;
    };
    /** @description The query of `getTicketThread`. */
    GetTicketThreadQuery: {
      /**
       * Format: uint32
       * @description How many messages a page holds at the most; 50 when absent.
       */
      limit?: number;
      /** @description `next_cursor` of the page with newer messages. */
      cursor?: string;
    };
    /** @description The query of `getMyTicketThread`. */
    GetMyTicketThreadQuery: {
      /**
       * Format: uint32
       * @description How many messages a page holds at the most; 50 when absent.
       */
      limit?: number;
      /** @description `next_cursor` of the page with newer messages. */
      cursor?: string;
    };
  };
}
