import assert from "node:assert/strict";
import { z } from "zod";
import { generatedFiles } from "../../../src/config/generate.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { farmFile, LATER, schemaAt } from "../../../src/config/schema.ts";
import { expectations } from "../../../src/config/schema_values.ts";
import { starterFile } from "../../../src/config/starter.ts";

for (const [path, text] of Object.entries(generatedFiles())) {
  Deno.test(`${path} is up to date (else: deno task schema)`, () => {
    assert.equal(Deno.readTextFileSync(new URL(`../../../${path}`, import.meta.url)), text);
  });
}

/** Every mapping of the file with the path to it. */
function* mappings(path: string[] = []): Generator<[string[], z.ZodObject]> {
  const schema = schemaAt(path);
  if (!(schema instanceof z.ZodObject)) return;
  yield [path, schema];
  for (const key of Object.keys(schema.shape)) {
    for (const below of [[key], [key, "0"], [key, "0", "services", "0"]]) {
      yield* mappings([...path, ...below]);
    }
  }
}

Deno.test("every key has a description and says what it expects", () => {
  let count = 0;
  for (const [path, schema] of mappings()) {
    for (const [key, value] of Object.entries(schema.shape)) {
      const inner = schemaAt([...path, key]);
      assert.ok(inner && expectations.get(inner)?.expected, [...path, key].join("."));
      assert.ok((value as z.ZodType).description, [...path, key].join("."));
      count++;
    }
  }
  assert.ok(count > 30, `only ${count} keys were found`);
});

Deno.test("the JSON Schema refuses unknown keys everywhere", () => {
  const json = JSON.stringify(z.toJSONSchema(farmFile, { io: "input", target: "draft-07" }));
  const objects = json.match(/"properties":/g)?.length;
  assert.equal(json.match(/"additionalProperties":false/g)?.length, objects);
});

Deno.test("values of later versions are not accepted by mistake", () => {
  for (const [key, values] of Object.entries(LATER)) {
    const schema = schemaAt(key === "mode" ? ["virtual_ips", 0, "mode"] : [key]);
    assert.ok(schema);
    for (const value of values) assert.ok(!schema.safeParse(value).success);
  }
});

Deno.test("the starter file is valid, and so are the defaults that it shows as comments", () => {
  const text = starterFile();
  const { config, problems } = parseConfig(text, "f");
  assert.deepEqual(problems, []);
  const uncommented = text.split("\n").filter((line) =>
    !/interfaces: |interface: eth1|tokens_file/.test(line)
  )
    .map((line) => line.replace(/^(\s*)# (\s*[\w-]+: ?[^ ]*$|group: .*|peers: \[).*/, "$1$2")).join("\n")
    .replace("peers: [", "peers: []");
  const shown = parseConfig(uncommented, "f");
  assert.deepEqual(shown.problems, []);
  assert.notEqual(uncommented, text);
  assert.equal(shown.config?.servicesDigest, config?.servicesDigest);
});

Deno.test("a starter file quotes what YAML would read as something else", () => {
  const { config, problems } = parseConfig(
    starterFile({
      farm: "007",
      interface: "eth0",
      virtualIps: ["2001:db8::1", "192.0.2.9"],
      services: [{ name: "true", protocol: "udp", ports: ["53", "5000-5010"] }, {
        name: "1e3",
        protocol: "tcp",
        ports: ["80"],
      }],
      secretFile: "/a b/#1",
    }),
    "f",
  );
  assert.deepEqual(problems, []);
  assert.equal(config?.farm, "007");
  assert.equal(config?.secretFile, "/a b/#1");
  assert.deepEqual(config?.services.map(({ name }) => name), ["true", "1e3"]);
  assert.deepEqual(config?.virtualIps.map(({ address }) => address.text), ["2001:db8::1", "192.0.2.9"]);
});
