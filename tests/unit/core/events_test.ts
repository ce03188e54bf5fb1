import assert from "node:assert/strict";
import { isEventKind } from "../../../src/core/events.ts";

Deno.test("event kinds are dotted and lower case", () => {
  for (const kind of ["member.joined", "host.sysctl.changed"]) assert.ok(isEventKind(kind), kind);
  for (const kind of ["member", "Member.joined", "member.", ".joined", "member joined"]) {
    assert.ok(!isEventKind(kind), kind);
  }
});
