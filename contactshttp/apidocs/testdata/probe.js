"use strict";

// Walks through the page as a person would, and posts what it saw.
const seen = { errors: null, violations: null };
const note = (kind, text) => (seen[kind] = (seen[kind] ?? []).concat(String(text)));
addEventListener("error", (e) => note("errors", e.message ?? `${e.target?.src ?? e.target?.href} did not load`), true);
addEventListener("unhandledrejection", (e) => note("errors", e.reason));
addEventListener("securitypolicyviolation", (e) => note("violations", `${e.effectiveDirective} ${e.blockedURI}`));

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);

// until returns what look finds as soon as it finds something.
const until = (what, look) =>
  new Promise((resolve) => {
    navigator.sendBeacon("/probe/waiting", what);
    const observer = new MutationObserver(() => {
      const found = look();
      if (found) {
        observer.disconnect();
        resolve(found);
      }
    });
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    document.documentElement.dataset.looking = what; // a change, so that it looks at once
  });

// type enters text as a person does. React sees no other way.
const type = (input, text) => {
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text);
  input.dispatchEvent(new Event("input", { bubbles: true }));
};

const nameOf = (operation) => {
  const method = one(".opblock-summary-method", operation).textContent.trim().toLowerCase();
  return `${method} ${one(".opblock-summary-path", operation).dataset.path}`;
};

const open = async (operation) => {
  one(".opblock-summary-control", operation).click();
  await until(`the body of ${nameOf(operation)}`, () => one(".opblock-body .responses-inner", operation));
};

async function authorize() {
  one(".auth-wrapper .authorize").click();
  const input = await until("the field for the key", () => one(".dialog-ux input[type=text], .dialog-ux input[type=password]"));
  type(input, settings.key);
  one(".dialog-ux .auth-btn-wrapper .authorize").click();
  await until("the key to be taken", () => all(".dialog-ux .auth-btn-wrapper button").some((b) => b.textContent === "Logout"));
  one(".dialog-ux .close-modal").click();
  await until("the dialog to close", () => !one(".dialog-ux"));
}

async function tryList(operation) {
  one(".try-out__btn", operation).click();
  const execute = await until("the button that sends", () => one(".execute", operation));
  execute.click();
  const answer = await until("the answer", () => one(".live-responses-table .response-col_status", operation) && one(".live-responses-table .response", operation));
  seen.status = one(".response-col_status", answer).textContent.trim().slice(0, 3);
  seen.answer = one(".response-col_description", answer).textContent;
}

async function walk() {
  const operations = await until("the operations", () => one("section.models") && all(".opblock"));
  seen.operations = operations.map(nameOf).sort();
  seen.paths = operations.map((o) => one(".opblock-summary-path", o).dataset.path);
  if (!settings.try) {
    return;
  }
  const list = operations.find((o) => /^get .*\/contacts$/.test(nameOf(o)));
  seen.can_authorize = Boolean(one(".authorize"));
  await open(list);
  seen.can_try = Boolean(one(".try-out__btn"));
  if (!settings.readOnly) {
    await authorize();
    await tryList(list);
  }
  if (!settings.whole) {
    return;
  }
  seen.opened = [nameOf(list)];
  for (const operation of operations) {
    if (operation !== list) {
      await open(operation);
      seen.opened.push(nameOf(operation));
    }
  }
  seen.opened.sort();
}

addEventListener("load", async () => {
  try {
    await walk();
  } catch (e) {
    note("errors", e.stack);
  }
  seen.stored = localStorage.length + sessionStorage.length + (document.cookie ? 1 : 0);
  seen.address = location.href.includes(settings.key) ? location.href : "";
  await fetch("/probe/done", { method: "POST", body: JSON.stringify(seen) });
});
