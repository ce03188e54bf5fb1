import assert from "node:assert/strict";
import {
  aliveMs,
  isNews,
  strangers,
  supersededBy,
  takeWord,
  unheard,
} from "../../../src/membership/hearsay.ts";
import { type Member, newMember } from "../../../src/membership/member.ts";
import type { HeardMember } from "../../../src/wire/heartbeat.ts";

const INCARNATION = 500;

function member(name: string, changes: Partial<Member> = {}): Member {
  return { ...newMember(name, 0), incarnation: INCARNATION, sequence: 10, confirmed: true, ...changes };
}

function said(name: string, changes: Partial<HeardMember> = {}): HeardMember {
  return { name, incarnation: INCARNATION, settingsVersion: 2, status: "heard", echo: 11, ...changes };
}

function farmOf(...members: Member[]): Map<string, Member> {
  return new Map(members.map((each) => [each.name, each]));
}

Deno.test("news is a later heartbeat than was heard or heard of, also where its number begins anew", () => {
  assert.ok(isNews(said("n2"), member("n2")));
  assert.ok(!isNews(said("n2", { echo: 10 }), member("n2")));
  assert.ok(!isNews(said("n2", { incarnation: INCARNATION - 1, echo: 99 }), member("n2")));
  assert.ok(isNews(said("n2", { incarnation: INCARNATION + 1, echo: 1 }), member("n2")));
  assert.ok(isNews(said("n2", { echo: 3 }), member("n2", { sequence: 2 ** 32 - 2 })));
  assert.ok(!isNews(said("n2", { echo: 2 ** 32 - 3 }), member("n2", { sequence: 2 ** 32 + 3 })));
});

Deno.test("the word of a third counts as long as it says so, and of those who say the same, the first", () => {
  const n2 = member("n2"), n3 = member("n3", { hears: [said("n2")] });
  const n4 = member("n4", { hears: [said("n2")] }), members = farmOf(n2, n3, n4);
  takeWord(n3, members, 400);
  assert.equal(aliveMs(n2), 400);
  takeWord(n4, members, 450);
  assert.equal(aliveMs(n2), 400, "nothing new was said");
  takeWord(n3, members, 500);
  assert.equal(aliveMs(n2), 500, "it has not replaced it");
  n3.incarnation++;
  takeWord(n3, members, 550);
  assert.equal(aliveMs(n2), 500, "it starts anew, and says what it once said");
  n2.lastHeardMs = 600;
  assert.equal(aliveMs(n2), 600, "heard itself, it needs no word");
});

Deno.test("nobody is kept by the word of one that heard less, or two would keep a dead one for each other", () => {
  const n2 = member("n2"), n3 = member("n3", { hears: [said("n2")] }), members = farmOf(n2, n3);
  takeWord(n3, members, 400);
  Object.assign(n2, { sequence: 11, lastHeardMs: 450 });
  takeWord(n3, members, 500);
  assert.equal(aliveMs(n2), 450, "n3 has heard the same heartbeat, and no later one");
});

Deno.test("who knew most takes its word back with its list, but not by starting anew", () => {
  const n2 = member("n2"), n3 = member("n3", { hears: [said("n2")] }), n4 = member("n4");
  const members = farmOf(n2, n3, n4);
  takeWord(n3, members, 400);
  takeWord(n4, members, 450);
  assert.equal(aliveMs(n2), 400, "n4 never heard it");
  n3.hears = [];
  n3.incarnation++;
  takeWord(n3, members, 500);
  assert.equal(aliveMs(n2), 400);
  n3.incarnation--;
  takeWord(n3, members, 600);
  assert.equal(aliveMs(n2), 0);
  n4.hears = [said("n2", { echo: 12 })];
  takeWord(n4, members, 700);
  assert.equal(aliveMs(n2), 700, "somebody hears more");
});

Deno.test("who only waits is not kept by what others say of it", () => {
  const n2 = member("n2"), n3 = member("n3", { hears: [said("n2", { settingsVersion: 1 })] });
  takeWord(n3, farmOf(n2, n3), 400);
  assert.equal(aliveMs(n2), 0);
});

Deno.test("a later incarnation is no sign of life of the one that is known", () => {
  const n2 = member("n2"), n3 = member("n3", { hears: [said("n2", { incarnation: INCARNATION + 1 })] });
  takeWord(n3, farmOf(n2, n3), 400);
  assert.equal(aliveMs(n2), 0);
  assert.equal(supersededBy(n2), "n3");
  assert.equal(supersededBy(n3), undefined);
});

Deno.test("who joins waits for whom it does not hear, unless that one only waits too and has a greater name", () => {
  const self = { name: "n2" };
  const heardBy = (said: HeardMember, ...members: Member[]) =>
    unheard(member("n9", { hears: [said] }), self, farmOf(...members))?.name;
  assert.equal(heardBy(said("n3")), "n3");
  assert.equal(heardBy(said("n3"), member("n3", { suspect: true })), "n3");
  assert.equal(heardBy(said("n3"), member("n3")), undefined);
  assert.equal(heardBy(said("n2")), undefined, "that is itself");
  assert.equal(heardBy(said("n3", { settingsVersion: 1 })), undefined);
  assert.equal(heardBy(said("n1", { settingsVersion: 1 })), "n1");
});

Deno.test("a stranger serves, is heard now, and is told of by a member that counts", () => {
  const names = (heard: HeardMember, gone?: Member, teller: Partial<Member> = {}) =>
    [...strangers("n2", farmOf(member("n9", { state: "up", hears: [heard], ...teller })), () => gone)].map((
      { name },
    ) => name);
  assert.deepEqual(names(said("n1")), ["n1"]);
  assert.deepEqual(names(said("n9")), [], "a member is none");
  assert.deepEqual(names(said("n1", { settingsVersion: 1 })), []);
  assert.deepEqual(names(said("n1", { status: "suspect" })), []);
  assert.deepEqual(names(said("n1"), undefined, { confirmed: false }), []);
  assert.deepEqual(names(said("n1"), undefined, { suspect: true }), []);
  assert.deepEqual(names(said("n1"), undefined, { state: "joining" }), []);
  assert.deepEqual(names(said("n1"), member("n1", { sequence: 11 })), [], "n9 has only not replaced it yet");
  assert.deepEqual(names(said("n1"), member("n1")), ["n1"], "n9 has heard it since");
});
