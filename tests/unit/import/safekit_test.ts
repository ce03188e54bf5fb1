/**
 * Files as SafeKit's user guide shows them, and what becomes of them: `tests/vectors/import/NAME.xml` gives `NAME.yaml` and, line
 * by line, `NAME.txt`. With VIPFARM_WRITE_VECTORS set the expectations are written anew, to be read in the difference.
 */
import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/load.ts";
import { VipfarmError } from "../../../src/core/errors.ts";
import { importSafekit } from "../../../src/import/safekit.ts";

const VECTORS = new URL("../../vectors/import/", import.meta.url);
const OPTIONS = {
  farm: "web",
  interface: "eth0",
  secretFile: "/etc/vipfarm/secret",
  scripts: "/etc/vipfarm/scripts",
};

function vector(name: string): string {
  return Deno.readTextFileSync(new URL(name, VECTORS));
}

const names = [...Deno.readDirSync(VECTORS)].map(({ name }) => name)
  .filter((name) => name.endsWith(".xml")).map((name) => name.slice(0, -4)).sort();
assert.ok(names.length >= 3);

for (const name of names) {
  Deno.test(`${name}.xml becomes a valid file, and what it could not become is told`, () => {
    const { yaml, notes } = importSafekit(vector(`${name}.xml`), OPTIONS);
    assert.deepEqual(parseConfig(yaml, `${name}.yaml`).problems, []);
    const told = notes.map(({ line, kind, text }) => `${line}: ${kind}: ${text}\n`).join("");
    if (Deno.env.get("VIPFARM_WRITE_VECTORS") !== undefined) {
      Deno.writeTextFileSync(new URL(`${name}.yaml`, VECTORS), yaml);
      Deno.writeTextFileSync(new URL(`${name}.txt`, VECTORS), told);
    }
    assert.equal(yaml, vector(`${name}.yaml`));
    assert.equal(told, vector(`${name}.txt`));
    // Whoever reads only the new file misses nothing.
    for (const { text } of notes) assert.ok(yaml.includes(text), text);
  });
}

function refusal(text: string): string {
  try {
    importSafekit(text, OPTIONS);
  } catch (error) {
    assert.ok(error instanceof VipfarmError, String(error));
    return error.message;
  }
  return "taken";
}

const farm = (inside: string) => `<safe><service mode="farm">${inside}</service></safe>`;

Deno.test("what is no farm module's configuration is refused, with the reason", () => {
  assert.match(refusal(""), /no <safe> element/);
  assert.match(refusal("<safe>"), /read SafeKit's userconfig.xml/);
  assert.match(refusal("farm: web\n"), /this is not XML/);
  assert.match(refusal("<other/>"), /no <safe> element/);
  assert.match(refusal('<safe><service mode="mirror"/></safe>'), /not of a farm module \(mode mirror\)/);
  assert.match(refusal("<safe/>"), /no <service>/);
});

Deno.test("entities and sizes are bounded: nothing is fetched, nothing grows", () => {
  assert.match(refusal('<!DOCTYPE safe [<!ENTITY a "b">]><safe/>'), /declares entities/);
  assert.match(
    refusal(
      '<!DOCTYPE safe SYSTEM "file:///etc/passwd" [<!ENTITY x SYSTEM "file:///etc/passwd">]><safe>&x;</safe>',
    ),
    /declares entities/,
  );
  assert.match(refusal(farm("&unknown;")), /read SafeKit's userconfig.xml/);
  assert.match(refusal(farm("<a>".repeat(100) + "</a>".repeat(100))), /nested deeper/);
  assert.match(refusal(farm("<a/>".repeat(20_000))), /more than 10000 elements/);
  assert.match(refusal(farm(`<!--${"x".repeat(2_000_000)}-->`)), /characters/);
});

Deno.test("macros are filled in, and one that names itself ends", () => {
  const { yaml } = importSafekit(
    `<macro name="NET" value="192.0.2"/><macro name="VIP" value="%NET%.7"/>` +
      farm('<vip><virtual_interface><virtual_addr addr="%VIP%"/></virtual_interface></vip>'),
    OPTIONS,
  );
  assert.match(yaml, /address: 192\.0\.2\.7/);
  assert.equal(
    refusal(`<macro name="A" value="%A%%A%"/>${farm('<user><var name="X" value="%A%"/></user>')}`),
    "taken",
  );
});

Deno.test("a power that is no number is told, and leaves the other nodes' weights alone", () => {
  const { yaml, notes } = importSafekit(
    farm(
      '<vip><group name="web"><cluster><host name="n1" power="2"/><host name="n2" power="much"/></cluster>' +
        '<rule port="80" proto="tcp" filter="on_port"/></group></vip>',
    ),
    OPTIONS,
  );
  assert.match(yaml, /n1:\s+services:\s+web:\s+weight: 200\n/);
  assert.doesNotMatch(yaml, /n2:/);
  assert.ok(notes.some(({ text }) => text === "the power of n2 is no number."));
});

Deno.test("an action on an application that the file has no scripts for becomes one that needs none", () => {
  const { yaml, notes } = importSafekit(
    farm('<check><tcp ident="t" action="stop"><to addr="127.0.0.1" port="80"/></tcp></check>'),
    OPTIONS,
  );
  assert.match(yaml, /on_failure: leave/);
  assert.ok(notes.some(({ text }) => text.includes("no scripts")));
});
