import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createAdminApp } from "../../../src/admin/app.ts";
import { PlainFarm } from "./farm.ts";

const app = createAdminApp(new PlainFarm());

for (const path of ["/", "/docs"]) {
  Deno.test(`${path} carries exactly the styles and scripts that its policy allows, and loads nothing else`, async () => {
    const response = await app.request(path);
    assert.match(response.headers.get("content-type")!, /^text\/html/);
    const policy = response.headers.get("content-security-policy")!;
    const page = await response.text();
    const allowed = [...policy.matchAll(/'(sha256-[^']+)'/g)].map((match) => match[1]).sort();
    const carried = [...page.matchAll(/<(style|script)>([\s\S]*?)<\/\1>/g)].map((match) =>
      `sha256-${createHash("sha256").update(match[2]).digest("base64")}`
    ).sort();
    assert.deepEqual(carried, allowed);
    assert.ok(!policy.includes("unsafe"));
    assert.ok(
      !/<(script|style)\s|\sstyle=|\son[a-z]+=|\ssrc=/.test(page.replace(/<script>[\s\S]*<\/script>/, "")),
    );
    for (const [, target] of page.matchAll(/\shref="([^"]*)"/g)) assert.match(target, /^(data:,|\/|#)/);
  });
}

Deno.test("the console never puts text into the page as HTML", async () => {
  const page = await (await app.request("/")).text();
  assert.ok(!/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/.test(page));
});

Deno.test("without scripts, the console says what to use", async () => {
  const page = await (await app.request("/")).text();
  assert.match(page, /<noscript>[\s\S]*vipfarm status[\s\S]*<\/noscript>/);
});
