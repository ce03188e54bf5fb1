import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { EXIT, VipfarmError } from "../../../src/core/errors.ts";
import { capabilityFindings, requireCapabilities } from "../../../src/host/capabilities.ts";
import { kernelFinding, tunOfService } from "../../../src/host/preflight.ts";

const status = (effective: bigint) =>
  `Name:\tx\nCapEff:\t${effective.toString(16).padStart(16, "0")}\nSeccomp:\t0\n`;
const limits = (soft: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     \n` +
  `Max nice priority         0                    0                    \n` +
  `Max realtime priority     ${soft.padEnd(20)} 99                   \n`;
const LIMITS = limits("0");

Deno.test("missing capabilities that the daemon needs are errors, the others warnings", () => {
  assert.ok(capabilityFindings(status((1n << 41n) - 1n), LIMITS).every(({ ok }) => ok === true));
  assert.deepEqual(capabilityFindings(status(0n), LIMITS).map(({ ok }) => ok), [
    false,
    false,
    "warning",
    "warning",
    "warning",
  ]);
  const onlyNet = capabilityFindings(status(1n << 12n | 1n << 13n), LIMITS);
  assert.deepEqual(onlyNet.map(({ ok }) => ok), [true, true, "warning", "warning", "warning"]);
  assert.match(onlyNet[2].remedy ?? "", /AmbientCapabilities=CAP_SYS_NICE.*--cap-add SYS_NICE/);
  for (const soft of ["10", "unlimited"]) {
    const [, , priority] = capabilityFindings(status(0n), limits(soft));
    assert.deepEqual([priority.ok, priority.what.slice(0, 11)], [true, "LimitRTPRIO"]);
  }
  assert.equal(capabilityFindings(status(0n), limits("9"))[2].ok, "warning", "the daemon asks for 10");
  const withUsers = capabilityFindings(status(1n << 12n | 1n << 13n), LIMITS, true).slice(onlyNet.length);
  assert.deepEqual(withUsers.map(({ ok }) => ok), [false, false, "warning"]);
  assert.match(withUsers[0].what, /CAP_SETUID is missing: it is for scripts of another user/);
});

Deno.test("a daemon without what it needs is refused with all of it, one without the rest is not", () => {
  requireCapabilities(status(1n << 12n | 1n << 13n));
  const refused = (effective: bigint, missing: RegExp, remedy: RegExp) =>
    assert.throws(() => requireCapabilities(status(effective)), (error) => {
      assert.ok(error instanceof VipfarmError);
      assert.equal(error.exitCode, EXIT.privilege);
      assert.match(error.message, missing);
      assert.match(error.remedy ?? "", remedy);
      return true;
    });
  refused(
    0n,
    /CAP_NET_ADMIN.*CAP_NET_RAW/,
    /=CAP_NET_ADMIN CAP_NET_RAW .*--cap-add NET_ADMIN --cap-add NET_RAW/,
  );
  refused(1n << 12n, /missing: CAP_NET_RAW, for the packet socket/, /AmbientCapabilities=CAP_NET_RAW /);
});

Deno.test("the kernel must be new enough", () => {
  for (const release of ["5.10.0-8-amd64\n", "6.1.0", "10.0"]) {
    assert.equal(kernelFinding(release).ok, true, release);
  }
  for (const release of ["4.19.0", "5.9.16-rc1+", "3.10.0-1160.el7"]) {
    assert.equal(kernelFinding(release).ok, false, release);
  }
});

Deno.test({
  name: "a device that the service's user may not open is found, with what udev would do",
  ignore: !existsSync("/dev/net/tun"),
}, async () => {
  const as = (may: boolean) => ({ name: "vipfarm", mayRead: () => Promise.resolve(may) });
  assert.deepEqual(await tunOfService(undefined), []);
  assert.deepEqual(await tunOfService(as(true)), []);
  const [finding] = await tunOfService(as(false));
  assert.equal(finding.ok, false);
  assert.match(finding.what, /may not be opened by vipfarm/);
  assert.match(finding.remedy!, /chmod 666 \/dev\/net\/tun/);
});
