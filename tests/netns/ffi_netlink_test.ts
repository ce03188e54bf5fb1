/** Interfaces and addresses through rtnetlink, against what `ip` shows. */

import assert from "node:assert/strict";
import { SystemError } from "../../ffi/errors.ts";
import { interfaceByIndex, interfaceByName } from "../../ffi/interface.ts";
import { ARPHRD_ETHER, ARPHRD_NONE } from "../../ffi/layout/constants.ts";
import { enterNetworkNamespace, withNetworkNamespace } from "../../ffi/namespace.ts";
import { addAddress, addresses, links, removeAddress, setLink } from "../../ffi/rtnetlink.ts";
import { TunDevice } from "../../ffi/tun.ts";
import { missingPrivilege, Namespace, Pair } from "./ffi_support.ts";

const ignore = missingPrivilege !== undefined;
const VIP = {
  4: Uint8Array.of(192, 0, 2, 100),
  6: Uint8Array.of(0x20, 1, 0x0d, 0xb8, ...Array(11).fill(0), 1),
};

Deno.test({
  name: "an interface's index, MAC, MTU and flags are what `ip` shows",
  ignore,
  fn() {
    using pair = new Pair();
    const [shown] = JSON.parse(pair.a.ip("-j", "link", "show", "va"));
    pair.a.within(() => {
      const link = interfaceByName("va");
      assert.equal(link.index, shown.ifindex);
      assert.equal(link.name, "va");
      assert.equal(link.mtu, shown.mtu);
      assert.equal(
        Array.from(link.mac, (byte) => byte.toString(16).padStart(2, "0")).join(":"),
        shown.address,
      );
      assert.deepEqual([link.up, link.running, link.loopback, link.noArp, link.multicast], [
        true,
        true,
        false,
        false,
        true,
      ]);
      assert.equal(link.type, ARPHRD_ETHER);
      assert.deepEqual(interfaceByIndex(link.index), link);
      assert.deepEqual(links().map(({ name }) => name).sort(), ["lo", "va"]);
      assert.ok(links().find(({ name }) => name === "lo")!.loopback);
      assert.throws(
        () => interfaceByName("vft-none"),
        (error: unknown) =>
          error instanceof SystemError && error.is("ENODEV") && error.message.includes("vft-none"),
      );
      assert.throws(() => interfaceByIndex(99_999), /ENODEV/);
    });
  },
});

Deno.test({
  name: "virtual IPs are put on a TUN and taken off, without duplicate address detection",
  ignore,
  fn() {
    using namespace = new Namespace("rtnl");
    namespace.within(() => {
      using tun = TunDevice.open("vft-tun");
      const { index } = interfaceByName(tun.name);
      setLink({ index, up: true, mtu: 9000, ipv6LinkLocal: false });
      const link = interfaceByName(tun.name);
      assert.deepEqual([link.up, link.mtu, link.mac.length, link.type], [true, 9000, 0, ARPHRD_NONE]);
      assert.deepEqual(addresses(index), [], "no link-local address of the kernel's own");
      for (const [family, prefixLength] of [[4, 32], [6, 128]] as const) {
        const request = { index, address: VIP[family], prefixLength, noDad: true, deprecated: true };
        assert.equal(removeAddress(request), false, "it is not there yet");
        assert.equal(addAddress(request), true);
        assert.equal(addAddress(request), false, "it is there already");
        const [found] = addresses(index);
        assert.equal(found.family, family);
        assert.deepEqual([...found.address], [...VIP[family]]);
        assert.equal(found.prefixLength, prefixLength);
        assert.equal(found.tentative, false);
        assert.equal(addresses().filter((address) => address.index === index).length, 1);
        assert.match(
          namespace.ip("address", "show", "dev", tun.name),
          family === 4
            ? /192\.0\.2\.100\/32/
            : /2001:db8::1\/128.*deprecated[^]*valid_lft forever preferred_lft 0sec/,
        );
        assert.equal(removeAddress(request), true);
        assert.deepEqual(addresses(index), []);
      }
      setLink({ index, up: false });
      assert.equal(interfaceByName(tun.name).up, false);
      assert.equal(interfaceByName(tun.name).mtu, 9000, "what was not named stays");
    });
  },
});

Deno.test({
  name: "the kernel's own explanation is in the error",
  ignore,
  fn() {
    using namespace = new Namespace("rtnl");
    namespace.within(() => {
      const { index } = interfaceByName("lo");
      assert.throws(
        () => setLink({ index, mtu: 0xffff_ffff }),
        (error: unknown) => error instanceof SystemError && error.is("EINVAL") && /mtu/i.test(error.message),
      );
      assert.throws(
        () => addAddress({ index: 99_999, address: VIP[4], prefixLength: 32 }),
        (error: unknown) => error instanceof SystemError && error.message.includes("192.0.2.100/32"),
      );
      assert.throws(() => addAddress({ index, address: VIP[4], prefixLength: 33 }), SystemError);
    });
  },
});

Deno.test({
  name: "hundreds of addresses, more than one datagram holds, are all listed",
  ignore,
  fn() {
    using pair = new Pair();
    pair.a.within(() => {
      const { index } = interfaceByName("va");
      for (let host = 0; host < 600; host++) {
        addAddress({ index, address: Uint8Array.of(10, 78, host >> 8, host & 255), prefixLength: 32 });
      }
      const listed = addresses(index).filter(({ address }) => address[0] === 10 && address[1] === 78);
      assert.equal(new Set(listed.map(({ address }) => address.join("."))).size, 600);
    });
  },
});

Deno.test({
  name: "a thread enters a namespace and comes back, also when its work fails",
  ignore,
  fn() {
    using namespace = new Namespace("ns");
    const own = () => Deno.readLinkSync("/proc/thread-self/ns/net");
    const before = own();
    const inside = withNetworkNamespace(namespace.path, own);
    assert.notEqual(inside, before);
    assert.equal(own(), before);
    assert.throws(() => withNetworkNamespace(namespace.path, () => assert.fail("inside")), /inside/);
    assert.equal(own(), before);
    assert.throws(
      () => enterNetworkNamespace("/run/netns/vft-none"),
      (error: unknown) =>
        error instanceof SystemError && error.is("ENOENT") && error.value === "/run/netns/vft-none",
    );
    assert.equal(own(), before);
  },
});

Deno.test({
  name: "a Worker that enters a namespace leaves the other threads where they are",
  ignore,
  async fn() {
    using namespace = new Namespace("ns");
    const own = () => Deno.readLinkSync("/proc/thread-self/ns/net");
    const before = own();
    const inside = namespace.within(own);
    const worker = new Worker(new URL("./ffi_namespace_worker.ts", import.meta.url), { type: "module" });
    try {
      const answer = await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage(namespace.path);
      });
      assert.deepEqual(answer, { namespace: inside, links: ["lo"] });
      assert.equal(own(), before);
    } finally {
      worker.terminate();
    }
  },
});
