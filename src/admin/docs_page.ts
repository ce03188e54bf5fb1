/** `/openapi.json`, and `/docs`: the same document as a plain page, made here, without a script. */

import type { OpenAPIHono } from "@hono/zod-openapi";
import { html, raw } from "hono/html";
import { policyHash } from "./console_page.ts";
import type { AdminEnv } from "./guard.ts";

type Document = ReturnType<OpenAPIHono<AdminEnv>["getOpenAPI31Document"]>;
/** The parts of an OpenAPI operation that the page shows. */
interface Operation {
  summary?: string;
  description?: string;
  parameters?: Array<
    { name: string; in: string; required?: boolean; description?: string; schema?: object }
  >;
  requestBody?: { content: Record<string, { schema?: unknown }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: unknown }> }>;
}

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; background: Canvas; color: CanvasText; }
h2 { border-top: 1px solid color-mix(in srgb, CanvasText 20%, Canvas); padding-top: 1rem; }
h2 code { font-size: 1.05rem; }
pre { overflow-x: auto; padding: .8rem; border-radius: 6px; background: color-mix(in srgb, CanvasText 7%, Canvas); }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
`;

/** Adds both routes. Call it last: the document lists what was added before. */
export function addDocs(app: OpenAPIHono<AdminEnv>, version: string, tokens: boolean): void {
  if (tokens) {
    app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  }
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "vipfarm admin API",
      version,
      description: "See a vipfarm farm and steer it. Every refusal has the shape of Failure.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    ...(tokens ? { security: [{ token: [] }] } : {}),
  });
  const policy = `default-src 'none'; style-src ${policyHash(STYLE)}; img-src data:; base-uri 'none'; ` +
    "form-action 'none'; frame-ancestors 'none'";
  const rendered = renderDocs(document);
  app.get("/openapi.json", (c) => c.json(document));
  app.get("/docs", async (c) => c.html(await rendered, 200, { "content-security-policy": policy }));
}

function renderDocs(document: Document) {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]) =>
      renderOperation(`${method.toUpperCase()} ${path}`, operation)
    )
  );
  const shapes = Object.entries(document.components?.schemas ?? {}).map(([name, schema]) =>
    html`
      <h3 id="${name}">${name}</h3>
      <pre>${JSON.stringify(schema, null, 2)}</pre>
    `
  );
  // The style element must hold exactly the text whose hash the policy names.
  return html`
    <!doctype html>
    <html lang="en">
      <head>
    <meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="data:,"><title>vipfarm API</title>
    ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <main>
        <h1>${document.info.title} <small>${document.info.version}</small></h1>
    <p>${document.info.description} <a href="/openapi.json">openapi.json</a> · <a href="/">console</a></p>
    ${operations}
    <h2>Shapes</h2>
    ${shapes}
      </main>
      </body>
    </html>
  `;
}

function renderOperation(title: string, operation: Operation) {
  const parameters = (operation.parameters ?? []).map((parameter) =>
    html`
      <tr>
        <th scope="row"><code>${parameter.name}</code></th>
        <td>${parameter.in}${parameter.required ? ", required" : ""}</td>
        <td>${parameter.description ?? ""} <code>${JSON.stringify({
          ...parameter.schema,
          description: undefined,
        })}</code></td>
      </tr>
    `
  );
  const body = Object.values(operation.requestBody?.content ?? {}).map((content) =>
    html`
      <tr>
        <th scope="row">body</th>
        <td>required</td>
        <td>${shapeOf(content.schema)}</td>
      </tr>
    `
  );
  const responses = Object.entries(operation.responses).map(([status, response]) =>
    html`
      <tr>
        <th scope="row">${status}</th>
        <td colspan="2">${response.description} ${Object.values(response.content ?? {}).map((content) =>
          shapeOf(content.schema)
        )}</td>
      </tr>
    `
  );
  return html`<h2><code>${title}</code></h2>
<p><strong>${operation.summary ?? ""}</strong> ${(operation.description ?? "").replaceAll("`", "")}</p>
<table>${parameters}${body}${responses}</table>`;
}

/** A link to a named shape, or the schema itself. */
function shapeOf(schema: unknown) {
  const reference = (schema as { $ref?: string } | undefined)?.$ref?.split("/").pop();
  if (reference !== undefined) {
    return html`
      <a href="#${reference}">${reference}</a>
    `;
  }
  return html`
    <code>${JSON.stringify(schema ?? {})}</code>
  `;
}
