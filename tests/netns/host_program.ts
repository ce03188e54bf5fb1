/**
 * A daemon reduced to its host set-up, for the tests beside it: takes the lock, undoes leftovers, sets the host up,
 * says `ready`, and ends in order when its standard input ends.
 */

import { TunDevice } from "../../ffi/tun.ts";
import { parseAddress } from "../../src/core/address.ts";
import { RuntimeLock } from "../../src/host/lock.ts";
import { setUpHost } from "../../src/host/set_up.ts";
import { undoLeftovers } from "../../src/host/undo.ts";

const [runtimeDir, ...virtualIps] = Deno.args;
const lock = await RuntimeLock.acquire(runtimeDir);
const leftovers = undoLeftovers(runtimeDir);
const tun = TunDevice.open("vf0");
const host = setUpHost({
  tun,
  interfaces: ["eth0"],
  virtualIps: virtualIps.map((text) => parseAddress(text)!),
  runtimeDir,
});
console.log(JSON.stringify({ undone: leftovers.undone.length, changed: host.changes.length }));
await Deno.stdin.read(new Uint8Array(1));
host.undo();
tun.close();
await lock.release();
