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
const type = (field, text) => {
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
};

const nameOf = (operation) => {
  const method = one(".opblock-summary-method", operation).textContent.trim().toLowerCase();
  return `${method} ${one(".opblock-summary-path", operation).dataset.path}`;
};

const open = async (operation) => {
  one(".opblock-summary-control", operation).click();
  await until(`the body of ${nameOf(operation)}`, () => one(".opblock-body .responses-inner", operation));
};

// close makes room: with much of it open, the page is slow.
const close = async (operation) => {
  one(".opblock-summary-control", operation).click();
  await until(`${nameOf(operation)} to close`, () => !one(".opblock-body", operation));
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

// send sends a request with "Try it out". body is what to send; "": the operation takes
// none.
async function send(operation, body) {
  one(".try-out__btn", operation).click();
  const execute = await until("the button that sends", () => one(".execute", operation));
  if (body) {
    type(await until("the field for the body", () => one("textarea.body-param__text", operation)), body);
    await until("the body to be taken", () => one("textarea.body-param__text", operation).value === body);
  }
  execute.click();
  const answer = await until("the answer", () => one(".live-responses-table .response-col_status", operation) && one(".live-responses-table .response", operation));
  return {
    status: one(".response-col_status", answer).textContent.trim().slice(0, 3),
    body: one(".response-col_description", answer).textContent,
  };
}

// fieldsOf opens the schema of a section, and all that is nested in it, and returns the
// fields that are visible: "address.city", "tags", "phone_numbers[].primary".
async function fieldsOf(section) {
  one(".tablinks[data-name=model]", section).click();
  const schema = await until("the schema", () => one(".json-schema-2020-12", section));
  const button = one(".json-schema-2020-12-expand-deep-button", schema);
  if (button.textContent === "Collapse all") {
    button.click();
    await until("the schema to close", () => button.textContent === "Expand all");
  }
  button.click();
  await until("the schema to open", () => !one(".json-schema-2020-12-head > .json-schema-2020-12-accordion .json-schema-2020-12-accordion__icon--collapsed", schema));
  const field = ".json-schema-2020-12-keyword--properties > ul > .json-schema-2020-12-property"; // examples are properties, too
  const pathOf = (e) => {
    let path = "";
    for (; e !== schema; e = e.parentElement) {
      if (e.matches(".json-schema-2020-12-keyword--items")) {
        path = `[]${path}`;
      } else if (e.matches(field)) {
        path = `.${one(".json-schema-2020-12__title", e).textContent}${path}`;
      }
    }
    return path.slice(1);
  };
  const fields = all(field, schema).filter((e) => e.checkVisibility() && e.getBoundingClientRect().height > 0).map(pathOf).sort();
  one(".tablinks[data-name=example]", section).click(); // as it was
  return fields;
}

async function walk() {
  const operations = await until("the operations", () => one("section.models") && all(".opblock"));
  seen.operations = operations.map(nameOf).sort();
  seen.paths = operations.map((o) => one(".opblock-summary-path", o).dataset.path);
  const list = operations.find((o) => /^get .*\/contacts$/.test(nameOf(o)));
  const create = operations.find((o) => /^post .*\/contacts\/create$/.test(nameOf(o)));
  seen.can_authorize = Boolean(one(".authorize"));
  await open(list);
  await open(create);
  seen.can_try = Boolean(one(".try-out__btn"));
  if (settings.whole) {
    seen.request = await fieldsOf(one(".opblock-section-request-body", create));
    seen.response = await fieldsOf(one(".response[data-code='201']", create));
  }
  if (!settings.readOnly) {
    await authorize();
    seen.created = await send(create, settings.contact);
    seen.listed = await send(list);
  }
  if (!settings.whole) {
    return;
  }
  seen.opened = [];
  for (const operation of operations) {
    if (!one(".opblock-body", operation)) {
      await open(operation);
    }
    seen.opened.push(nameOf(operation));
    await close(operation);
  }
  seen.opened.sort();
  seen.schemas = all("section.models .json-schema-2020-12__title").map((title) => title.textContent.trim()).sort();
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
