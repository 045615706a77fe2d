// A client generated from the API's description goes through the life of a contact.
//
// .ci/run generates api.d.ts from openapi.json and compiles this file against it.
// TestGeneratedClients runs it against a server. @ts-expect-error marks code that
// the compiler must refuse, and fails if it does not.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Contact = components["schemas"]["Contact"];
type CreateContact = components["schemas"]["CreateContact"];
type Failure = components["schemas"]["Error"];

const { CONTACTS_URL: baseUrl, CONTACTS_KEY: key } = process.env;
assert(baseUrl && key, "CONTACTS_URL and CONTACTS_KEY say where to go");

const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

// The one required field is enough.
const least = await client.POST("/api/v1/contacts/create", { body: { first_name: "Jim" } });
assert(least.data && !("dry_run" in least.data), JSON.stringify(least.error));
assert.equal(least.data.address.country, "US");

// One contact, created and read.
const created = await client.POST("/api/v1/contacts/create", {
  params: { header: { "Idempotency-Key": "client-1" } },
  body: {
    first_name: "John",
    last_name: "Doe",
    email: "john.doe@EXAMPLE.com",
    tags: ["new"],
    phone_numbers: [{ phone_number: "+1 (555) 123-4567", phone_type: "mobile" }],
    custom_context: { plan: { seats: 3 } },
  },
});
assert.equal(created.response.status, 201, JSON.stringify(created.error));
assert(created.data && !("dry_run" in created.data));
const john: Contact = created.data;
assert.equal(john.full_name, "John Doe");
assert.equal(john.email, "john.doe@example.com");
assert.equal(john.address.country, "US");
assert.equal(john.phone_numbers[0]?.phone_number, "+15551234567");
assert.equal(john.phone_numbers[0]?.primary, true);
assert.equal(john.team_id, null);
assert.equal(created.response.headers.get("Location"), `/api/v1/contacts/${john.id}`);

const path = { id: john.id };
const got = await client.GET("/api/v1/contacts/{id}", { params: { path } });
assert.deepEqual(got.data, john);
const etag = got.response.headers.get("ETag");
assert(etag);
const same = await client.GET("/api/v1/contacts/{id}", {
  params: { path, header: { "If-None-Match": etag } },
});
assert.equal(same.response.status, 304);

// The list by page and by cursor. The type tells which one it is.
const listed = await client.GET("/api/v1/contacts", {
  params: { query: { search: "doe", limit: 10 } },
});
assert(listed.data && "count" in listed.data);
assert.equal(listed.data.count, 1);
assert.equal(listed.data.contacts[0]?.phone, "+15551234567");
const walked = await client.GET("/api/v1/contacts", { params: { query: { cursor: "" } } });
assert(walked.data && !("count" in walked.data));
const next: string | null = walked.data.next_cursor;
assert.equal(next, null);

// A change of this version, and one of an older version.
const changed = await client.PATCH("/api/v1/contacts/{id}/update", {
  params: { path, header: { "If-Match": etag } },
  body: { stage: "customer", last_name: null },
});
assert(changed.data && !("dry_run" in changed.data), JSON.stringify(changed.error));
assert.equal(changed.data.stage, "customer");
assert.equal(changed.data.full_name, "John");
assert.equal(changed.data.version, john.version + 1);
const late = await client.PATCH("/api/v1/contacts/{id}/update", {
  params: { path, header: { "If-Match": etag } },
  body: { stage: "lost" },
});
assert.equal(late.response.status, 412);
assert.equal(late.error?.error, "conflict");

// What was read can be sent back, with a change.
const replaced = await client.PUT("/api/v1/contacts/{id}/update", {
  params: { path },
  body: { ...changed.data, company: "Acme" },
});
assert(replaced.data && !("dry_run" in replaced.data), JSON.stringify(replaced.error));
assert.equal(replaced.data.company, "Acme");
assert.deepEqual(replaced.data.address, changed.data.address);
assert.deepEqual(replaced.data.phone_numbers, changed.data.phone_numbers);

// An error with its type. The code is one of those of the operation.
const refused = await client.POST("/api/v1/contacts/create", {
  body: { first_name: "Jane", email: "jane", phone_numbers: [{ phone_number: "555" }] },
});
const failure: Failure | undefined = refused.error;
assert(failure?.error === "validation_error");
assert.deepEqual(
  failure.details?.map((d) => [d.field, d.code]),
  [
    ["email", "invalid"],
    ["phone_numbers[0].phone_number", "invalid"],
  ],
);

// A batch has a result for each contact. Its members tell its type.
const batch = await client.POST("/api/v1/contacts/batch", {
  body: { contacts: [{ first_name: "Jane" }, { first_name: "Joe", email: "joe" }] },
});
assert.equal(batch.data?.created, 1, JSON.stringify(batch.error));
for (const result of batch.data.results) {
  if ("contact" in result) assert.equal(result.contact.first_name, "Jane");
  else assert.equal(result.error.error, "validation_error");
}

// A dry run says what a change would do. The type tells that it is one.
const preview = await client.PATCH("/api/v1/contacts/{id}/update", {
  params: { path, query: { dry_run: true } },
  body: { stage: "lost" },
});
assert(preview.data && "dry_run" in preview.data, JSON.stringify(preview.error));
assert.deepEqual(preview.data.changes, [{ field: "stage", before: "customer", after: "lost" }]);

// Deleted and restored.
const deleted = await client.DELETE("/api/v1/contacts/{id}", { params: { path } });
assert.equal(deleted.response.status, 204);
const missing = await client.GET("/api/v1/contacts/{id}", { params: { path } });
assert.equal(missing.error?.error, "not_found");
const restored = await client.POST("/api/v1/contacts/{id}/restore", { params: { path } });
assert.equal(restored.data?.id, john.id);

// The types must refuse this. It is compiled and never run.
export async function refusedByTheCompiler() {
  // @ts-expect-error: the first name is required
  await client.POST("/api/v1/contacts/create", { body: { last_name: "Doe" } });
  // @ts-expect-error: a misspelt field
  const body: CreateContact = { first_name: "John", phone: "+15551234567" };
  await client.POST("/api/v1/contacts/create", { body });
  // @ts-expect-error: no such path
  await client.GET("/api/v1/contact");
  // @ts-expect-error: a code that the operation does not have
  if (late.error?.error === "idempotency_conflict") return;
  // @ts-expect-error: null or a string
  john.timezone.length;
}

console.log("the client has done its round");
