import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createAdminApp } from "../../../src/admin/app.ts";
import { ROOT, sourceFiles } from "../source_tree.ts";
import { PlainFarm } from "./farm.ts";

const app = createAdminApp(new PlainFarm());

for (const path of ["/", "/docs"]) {
  Deno.test(`${path} carries exactly the styles and scripts that its policy allows, and loads nothing else`, async () => {
    const response = await app.request(path);
    assert.match(response.headers.get("content-type")!, /^text\/html/);
    const policy = response.headers.get("content-security-policy")!;
    const page = await response.text();
    const allowed = [...policy.matchAll(/'(sha256-[^']+)'/g)].map((match) => match[1]).sort();
    const carried = [...page.matchAll(/<(style|script)(?: type="module")?>([\s\S]*?)<\/\1>/g)].map((match) =>
      `sha256-${createHash("sha256").update(match[2]).digest("base64")}`
    ).sort();
    assert.deepEqual(carried, allowed);
    assert.ok(!policy.includes("unsafe"));
    assert.ok(
      !/<(script|style)\s|\sstyle=|\son[a-z]+=|\ssrc=/.test(
        page.replace(/<script type="module">[\s\S]*<\/script>/, ""),
      ),
    );
    const markup = page.replace(/<script type="module">[\s\S]*<\/script>/, "");
    for (const [, target] of markup.matchAll(/\shref="([^"]*)"/g)) assert.match(target, /^(data:,|\/|#)/);
  });
}

Deno.test("the console never puts text into the page as HTML, and the browser would refuse it", async () => {
  const sources = sourceFiles((path) => /^src\/admin\/console\/[^/]+\.tsx?$/.test(path));
  assert.ok(sources.length > 0);
  const found = sources.filter(({ text }) =>
    /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|eval\(/i.test(text)
  );
  assert.deepEqual(found.map(({ path }) => path), []);
  const policy = (await app.request("/")).headers.get("content-security-policy")!;
  assert.match(policy, /require-trusted-types-for 'script'; trusted-types 'none'/);
});

Deno.test("the console's bundle is what its sources make", async () => {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const [, ...args] = tasks.console.command.split(" ");
  const bundled = "src/admin/console/bundle/console.js";
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: args.map((argument: string) => argument === bundled ? file : argument),
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const made = await Deno.readTextFile(file);
  await Deno.remove(file);
  assert.ok(made === await Deno.readTextFile(ROOT + bundled), "it is not: run `deno task console`");
});

Deno.test("without scripts, the console says what to use", async () => {
  const page = await (await app.request("/")).text();
  assert.match(page, /<noscript>[\s\S]*vipfarm status[\s\S]*<\/noscript>/);
});
