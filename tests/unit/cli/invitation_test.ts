import assert from "node:assert/strict";
import { newPassphrase, open, seal } from "../../../src/cli/invitation.ts";

const INVITATION = { farm: "web", config: "farm: web\n# ä\n".repeat(50), secret: "c2VjcmV0" };
const PASSPHRASE = "kx7m-2qwa-9dtn-wp4h";

Deno.test("an invitation opens with its passphrase, as people type it, and with no other", () => {
  const text = seal(INVITATION, PASSPHRASE);
  assert.ok(text.split("\n").every((line) => line.length <= 64));
  for (const typed of [PASSPHRASE, "KX7M 2QWA 9DTN WP4H", "kx7m2qwa9dtnwp4h"]) {
    assert.deepEqual(open(`before\n${text}after`, typed), INVITATION);
  }
  assert.throws(() => open(text, "kx7m-2qwa-9dtn-wp4j"), /the passphrase is another one/);
  assert.ok(!text.includes("c2VjcmV0"));
  assert.notEqual(seal(INVITATION, PASSPHRASE), text, "another salt each time");
});

Deno.test("a changed invitation does not open, wherever it was changed", () => {
  const text = seal(INVITATION, PASSPHRASE);
  const lines = text.split("\n");
  const bytes = Uint8Array.fromBase64(lines.slice(1, -2).join(""));
  // The magic, the cost, the salt, the nonce, the text, the tag.
  for (const at of [0, 4, 5, 21, 40, bytes.length - 1]) {
    const changed = bytes.slice();
    changed[at] ^= 0x40;
    assert.throws(
      () => open([lines[0], changed.toBase64(), lines.at(-2)].join("\n"), PASSPHRASE),
      /another/,
      `byte ${at}`,
    );
  }
  for (const cost of [0, 1, 13, 19, 255]) {
    const changed = bytes.slice();
    changed[4] = cost;
    const damaged = [lines[0], changed.toBase64(), lines.at(-2)].join("\n");
    assert.throws(() => open(damaged, PASSPHRASE), /of another version of vipfarm, or incomplete/);
  }
  assert.throws(() => open(text.replace(lines.at(-2)!, ""), PASSPHRASE), /cut off.*END VIPFARM/);
  assert.throws(() => open(text.replace(lines[0], ""), PASSPHRASE), /BEGIN VIPFARM/);
  assert.throws(() => open("\n", PASSPHRASE), /it is empty/);
});

Deno.test("what can be made into an invitation can be opened; more than that is refused at once", () => {
  const random = (bytes: number) =>
    Array.from(
      { length: bytes / 2 ** 16 },
      () => crypto.getRandomValues(new Uint8Array(3 * 2 ** 14)).toBase64(),
    );
  const largest = { ...INVITATION, config: random(2 ** 18 + 2 ** 17).join("") };
  assert.deepEqual(open(seal(largest, PASSPHRASE), PASSPHRASE), largest);
  assert.throws(
    () => seal({ ...INVITATION, config: random(2 ** 19).join("") }, PASSPHRASE),
    /an invitation carries at most 524288 bytes/,
  );
});

Deno.test("an invitation with more in it than this version knows is of another version", () => {
  const later = seal({ ...INVITATION, more: 1 } as typeof INVITATION, PASSPHRASE);
  assert.throws(() => open(later, PASSPHRASE), /of another version of vipfarm/);
});

Deno.test("a new passphrase is four groups of letters and digits that are not taken for each other", () => {
  const many = Array.from({ length: 100 }, newPassphrase);
  assert.equal(new Set(many).size, 100);
  for (const each of many) assert.match(each, /^([a-hjkmnp-z1-9]{4}-){3}[a-hjkmnp-z1-9]{4}$/);
});
