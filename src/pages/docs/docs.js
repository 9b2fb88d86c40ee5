// What the page of the documentation lacks: names for what assistive technology reads, and examples that are only shown.
// An example of a parameter is what it looks like: no page of a list begins there, nobody has that entity tag, and an
// Idempotency-Key is of one call.
const examples = EXAMPLES;
globalThis.vicketRequest = (request) => {
  const url = new URL(request.url, location.href);
  if (url.searchParams.get("cursor") === examples.cursor) url.searchParams.delete("cursor");
  const headers = request.headers ?? {};
  if (headers["If-None-Match"] === examples["If-None-Match"]) delete headers["If-None-Match"];
  if (headers["Idempotency-Key"] === examples["Idempotency-Key"]) headers["Idempotency-Key"] = crypto.randomUUID();
  request.url = url.href;
  return request;
};

const name = (selector, text) => {
  for (const element of document.querySelectorAll(selector)) {
    if (!element.getAttribute("aria-label") && !element.labels?.[0]?.textContent.trim()) element.setAttribute("aria-label", typeof text === "function" ? text(element) : text);
  }
};
const amend = () => {
  document.getElementById("servers")?.setAttribute("aria-label", "Server");
  name(".swagger-ui select", (select) => (select.className.includes("examples") ? "Example" : "Choice"));
  name("textarea", "Body of the request");
  name(".swagger-ui input", (input) => input.placeholder || "Value");
  // The link within the button does what the button does.
  document.querySelectorAll(".opblock-summary-control a[href]").forEach((link) => link.removeAttribute("href"));
  document.querySelectorAll(".swagger-ui :is(pre, .highlight-code)").forEach((block) => {
    if (block.scrollWidth > block.clientWidth && !block.hasAttribute("tabindex")) block.tabIndex = 0;
  });
};
document.addEventListener("DOMContentLoaded", () => {
  new MutationObserver(amend).observe(document.body, { childList: true, subtree: true });
  amend();
});
