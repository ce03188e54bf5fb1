import assert from "node:assert/strict";
import fc from "fast-check";
import { createAdminApp } from "../../../src/admin/app.ts";
import { PlainFarm, withServer } from "./farm.ts";

interface Operation {
  summary?: string;
  parameters?: Array<{ name: string; in: string; required?: boolean; schema?: Schema }>;
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: Schema }> }>;
}
interface Schema {
  $ref?: string;
  type?: string;
  enum?: string[];
  [key: string]: unknown;
}
interface Document {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

async function readDocument(): Promise<Document> {
  return await (await createAdminApp(new PlainFarm()).request("/openapi.json")).json();
}

Deno.test("the document lists every route of the contract", async () => {
  const { paths } = await readDocument();
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  assert.deepEqual(operations.sort(), [
    "GET /api/v1/buckets",
    "GET /api/v1/checks",
    "GET /api/v1/config",
    "GET /api/v1/events",
    "GET /api/v1/explain",
    "GET /api/v1/farm",
    "GET /api/v1/flows",
    "GET /api/v1/history",
    "GET /api/v1/log-level",
    "GET /api/v1/services",
    "GET /api/v1/watch",
    "GET /api/v1/whoami",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "POST /api/v1/nodes/{name}/{verb}",
    "PUT /api/v1/log-level",
    "PUT /api/v1/nodes/{name}/weight",
  ]);
});

Deno.test("the document is sound: references lead somewhere, path parameters are declared, answers described", async () => {
  const document = await readDocument();
  assert.match(document.openapi, /^3\.1\./);
  assert.ok(document.info.title && document.info.version);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]);
  assert.ok(references.length > 10);
  for (const reference of references) {
    const [, name] = /^#\/components\/schemas\/(\w+)$/.exec(reference) ?? [];
    assert.ok(document.components.schemas[name], reference);
  }
  for (const [path, methods] of Object.entries(document.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const [method, operation] of Object.entries(methods)) {
      assert.ok(operation.summary, `${method} ${path}`);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
      assert.deepEqual(declared.map(({ name }) => name).sort(), inPath.sort());
      assert.ok(declared.every((parameter) => parameter.required === true));
      assert.ok(operation.responses["200"]);
      for (const [status, response] of Object.entries(operation.responses)) {
        assert.match(status, /^[1-5][0-9]{2}$/);
        assert.ok(response.description);
        if (Number(status) >= 400 && status !== "503") {
          assert.equal(response.content?.["application/json"].schema?.$ref, "#/components/schemas/Failure");
        }
      }
    }
  }
});

Deno.test("the document is OpenAPI 3.1, by its own JSON Schema", async () => {
  const { Validator } = await import("@seriousme/openapi-schema-validator");
  const result = await new Validator().validate(await readDocument() as unknown as Record<string, unknown>);
  assert.deepEqual(result.errors ?? [], []);
  assert.equal(result.valid, true);
});

Deno.test("with tokens, the document says so", async () => {
  const { TokenStore } = await import("../../../src/admin/tokens.ts");
  const tokens = TokenStore.parse(`admin a ${"0".repeat(64)}`, "tokens");
  const document = await (await createAdminApp(new PlainFarm(), { tokens }).request("/openapi.json")).json();
  assert.deepEqual(document.components.securitySchemes, { token: { type: "http", scheme: "bearer" } });
  assert.deepEqual(document.security, [{ token: [] }]);
});

Deno.test("the docs page shows every operation and shape, and loads nothing", async () => {
  const document = await readDocument();
  const page = await (await createAdminApp(new PlainFarm()).request("/docs")).text();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of Object.keys(methods)) assert.ok(page.includes(`${method.toUpperCase()} ${path}`));
  }
  for (const name of Object.keys(document.components.schemas)) assert.ok(page.includes(`id="${name}"`));
  assert.ok(!/<script|src=|https?:\/\/(?!www\.apache\.org)[^"]*\.(js|css|woff)/.test(page));
});

// ---- a property over the API: whatever is sent, the answer is a documented one ----

const text = fc.oneof(
  fc.string({ maxLength: 80 }),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.constantFrom(
    "n1",
    "n2",
    "http",
    "dns",
    "0",
    "53",
    "65535",
    "1.2.3.4",
    "::1",
    "json",
    "sse",
    "true",
    "%",
    "../..",
  ),
);
const value = fc.oneof(text, fc.integer().map(String), fc.ipV4(), fc.ipV6(), fc.domain());
const method = fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS");
const headers = fc.dictionary(
  fc.constantFrom(
    "accept",
    "content-type",
    "last-event-id",
    "authorization",
    "origin",
    "host",
    "x-forwarded-for",
  ),
  fc.oneof(
    fc.constantFrom(
      "application/json",
      "text/event-stream",
      "text/plain",
      "Bearer x",
      "localhost",
      "n-1",
      "*/*",
    ),
    fc.string({ unit: fc.constantFrom(..."abc:/-*;= .0123[]"), maxLength: 20 }),
  ),
);
const body = fc.oneof(
  fc.json(),
  fc.string({ unit: "binary" }),
  fc.record({ weight: fc.oneof(fc.integer(), fc.double(), fc.string()) }, { requiredKeys: [] }).map((v) =>
    JSON.stringify(v)
  ),
  fc.constant(undefined),
);

/** A path of the document with its parameters filled in, or any path at all. */
function requests(document: Document) {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([verb, operation]) => ({ path, verb: verb.toUpperCase(), operation }))
  );
  const known = fc.constantFrom(...operations).chain(({ path, verb, operation }) =>
    fc.record({
      route: fc.constant(path),
      operation: fc.constant<Operation | undefined>(operation),
      method: fc.constant(verb),
      path: fc.tuple(
        value,
        fc.oneof(value, fc.constantFrom("drain", "resume", "start", "stop", "restart", "reload")),
      )
        .map(
          ([name, action]) =>
            path.replace("{name}", () => encodePart(name)).replace("{verb}", () => encodePart(action)),
        ),
      query: fc.array(
        fc.tuple(
          fc.oneof(fc.constantFrom(...(operation.parameters ?? []).map(({ name }) => name), "force"), text),
          value,
        ),
        { maxLength: 4 },
      ),
      headers,
      body,
    })
  );
  const wild = fc.record({
    route: fc.constant(""),
    operation: fc.constant<Operation | undefined>(undefined),
    method,
    path: fc.array(value, { maxLength: 5 }).map((parts) => "/" + parts.map(encodePart).join("/")),
    query: fc.array(fc.tuple(text, value), { maxLength: 3 }),
    headers,
    body,
  });
  return fc.oneof({ weight: 4, arbitrary: known }, { weight: 1, arbitrary: wild });
}

/** Percent-encodes; lone surrogates, which have no UTF-8, become what a URL makes of them. */
function encodePart(part: string): string {
  return encodeURIComponent(part.toWellFormed());
}

Deno.test("whatever is sent: no 5xx, no undocumented status, and every refusal has the one shape", async () => {
  const document = await readDocument();
  await withServer({}, async ({ url, farm }) => {
    await fc.assert(
      fc.asyncProperty(requests(document), async (request) => {
        const target = new URL(url + request.path);
        for (const [name, part] of request.query) target.searchParams.append(name, part);
        const hasBody = request.method !== "GET" && request.method !== "HEAD";
        const init = {
          method: request.method,
          headers: request.headers,
          body: hasBody ? request.body : undefined,
        };
        const response = await fetch(target, init);
        const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
        const answer = isStream ? (await response.body?.cancel(), "") : await response.text();
        const seen = `${request.method} ${target.pathname} → ${response.status} ${answer}`;
        assert.ok(response.status < 500 || response.status === 503 && target.pathname === "/readyz", seen);
        // A name that is empty or has dots leads the URL elsewhere: then it is not this operation any more.
        if (request.operation !== undefined && response.status !== 404) {
          assert.ok(request.operation.responses[String(response.status)], `undocumented: ${seen}`);
        }
        if (response.status >= 400 && response.status !== 503 && request.method !== "HEAD") {
          const { error } = JSON.parse(answer);
          assert.deepEqual(Object.keys(error).sort(), ["code", "message", "remedy"], seen);
          assert.ok(Object.values(error).every((part) => typeof part === "string" && part !== ""), seen);
        }
        farm.orders.length = 0;
      }),
      { numRuns: 600 },
    );
  });
});
