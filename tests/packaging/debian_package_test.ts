/** The Debian package as it is built: the same twice, whole, in order for Debian's own checker, and honest of what is inside. */
import assert from "node:assert/strict";
import { makeDebianPackage } from "../../packaging/debian_package.ts";
import { packProgram } from "../../packaging/program.ts";
import { run } from "../../packaging/tools.ts";
import { ENTRY_POINTS } from "../../src/entry_points.ts";
import { VERSION } from "../../src/version.ts";

async function isHere(...argv: string[]): Promise<boolean> {
  return await run(argv).then(() => true, () => false);
}

const hasLintian = await isHere("lintian", "--version");

interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly "bom-ref": string;
  readonly hashes: ReadonlyArray<{ content: string }>;
  readonly licenses: ReadonlyArray<{ expression: string }>;
}

Deno.test({ name: "the Debian package", ignore: !await isHere("dpkg-deb", "--version") }, async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "vf-package-" });
  try {
    const [one, two] = await Promise.all(["one", "two"].map(async (name) => {
      const output = `${directory}/${name}`;
      const program = await packProgram(`${output}/build`);
      return { program, ...await makeDebianPackage(program, `${output}/build`, output, "fast") };
    }));
    const root = `${directory}/root`;
    await run(["dpkg-deb", "--extract", one.file, root]);

    await t.step("two builds are the same, byte for byte", async () => {
      assert.equal(await Deno.readTextFile(one.sumsFile), await Deno.readTextFile(two.sumsFile));
      await run(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: `${directory}/one` });
    });

    await t.step("no path of the machine that built it is inside", async () => {
      for await (const { name } of Deno.readDir(`${root}/usr/lib/vipfarm/program`)) {
        const text = await Deno.readTextFile(`${root}/usr/lib/vipfarm/program/${name}`);
        for (const path of [directory, Deno.env.get("HOME") ?? "/nowhere"]) {
          assert.ok(!text.includes(`${path}/`), `${name} names ${path}`);
        }
      }
    });

    await t.step("every entry point is in it, and the program runs as it lies there", async () => {
      for (const name of ENTRY_POINTS) Deno.statSync(`${root}/usr/lib/vipfarm/program/${name}.js`);
      const launcher = (await Deno.readTextFile(`${root}/usr/bin/vipfarm`)).replaceAll(
        "/usr/",
        `${root}/usr/`,
      );
      await Deno.writeTextFile(`${root}/launcher`, launcher);
      const told = await run([
        "env",
        "-i",
        "PATH=/usr/bin:/bin",
        "sh",
        `${root}/launcher`,
        "version",
        "--json",
      ]);
      assert.equal(JSON.parse(told).version, VERSION);
      assert.equal(JSON.parse(told).deno, Deno.version.deno);
    });

    await t.step("the man page has every verb; the shells' completions and examples are there", async () => {
      const page = await run(["gzip", "-dc", `${root}/usr/share/man/man1/vipfarm.1.gz`]);
      for (const verb of ["run", "check", "status", "drain", "demo"]) {
        assert.ok(page.includes(`.SS vipfarm ${verb} `));
      }
      for (
        const path of [
          "bash-completion/completions/vipfarm",
          "zsh/vendor-completions/_vipfarm",
          "fish/vendor_completions.d/vipfarm.fish",
          "doc/vipfarm/examples/vipfarm.yaml",
        ]
      ) Deno.statSync(`${root}/usr/share/${path}`);
    });

    await t.step(
      "the list of what is inside has Deno and every package in the program, with hash and licence",
      async () => {
        const { components, dependencies } = JSON.parse(await Deno.readTextFile(one.sbomFile)) as {
          components: Component[];
          dependencies: Array<{ ref: string; dependsOn: string[] }>;
        };
        const listed = components.map(({ name, version }) => `${name}@${version}`);
        assert.ok(listed.includes(`deno@${Deno.version.deno}`));
        const bundled = one.program.bundled.map(({ name, version }) => `${name}@${version}`);
        assert.ok(bundled.length > 10);
        assert.deepEqual(bundled.filter((each) => !listed.includes(each)), []);
        // One that no module of ours names, and one that the tests alone use.
        assert.ok(components.some(({ name }) => name === "bintrees"));
        assert.ok(!components.some(({ name }) => name === "fast-check" || name === "puppeteer-core"));
        assert.deepEqual(
          one.program.imported.filter((name) => !components.some((each) => each.name === name)),
          [],
        );
        const references = new Set(components.map((each) => each["bom-ref"]));
        for (const { purl, hashes, licenses } of components) {
          assert.match(hashes[0].content, /^([0-9a-f]{64}|[0-9a-f]{128})$/, purl);
          assert.match(licenses[0].expression, /^[A-Za-z0-9.+() -]+$/, purl);
        }
        for (const { dependsOn } of dependencies) {
          for (const each of dependsOn) assert.ok(references.has(each), each);
        }
        const copyright = await Deno.readTextFile(`${root}/usr/share/doc/vipfarm/copyright`);
        for (const { name, version } of components.slice(1)) {
          assert.ok(copyright.includes(`${name} ${version}`), name);
        }
      },
    );

    await t.step({
      name: "lintian finds no error and nothing to warn of",
      ignore: !hasLintian,
      fn: async () => {
        const user = Deno.uid() === 0 ? ["--allow-root"] : [];
        assert.equal(await run(["lintian", ...user, "--fail-on", "error,warning", one.file]), "");
      },
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
