/**
 * The console at `/`: one document that carries its own style and script, so that it works where the internet does
 * not reach, and page and script are always of one version. Its policy names the hash of each, and nothing else runs.
 * The sources are in `console/`; `deno task console` bundles them.
 */

import { createHash } from "node:crypto";
import type { OpenAPIHono } from "@hono/zod-openapi";
import script from "./console/bundle/console.js" with { type: "text" };
import style from "./console/console.css" with { type: "text" };
import page from "./console/page.html" with { type: "text" };
import type { AdminEnv } from "./guard.ts";

/** What a Content-Security-Policy calls a text that is allowed inline. */
export function policyHash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Adds the page to `app`. */
export function addConsole(app: OpenAPIHono<AdminEnv>): void {
  // Functions, since a replacement text would be searched for `$&` and the like.
  const html = page
    .replace("<!--STYLE-->", () => `<style>${style}</style>`)
    .replace("<!--SCRIPT-->", () => `<script type="module">${script}</script>`);
  const policy = [
    "default-src 'none'",
    `style-src ${policyHash(style)}`,
    `script-src ${policyHash(script)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // No text ever becomes HTML or script: the browser refuses whatever tries.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  app.get("/", (c) => c.html(html, 200, { "content-security-policy": policy }));
}
