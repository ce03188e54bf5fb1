/** How a ring is laid out: the rules of packet_mmap.rst, for every size. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  FRAME_BYTES_ORDINARY,
  FRAME_BYTES_WHOLE_PACKET,
  FRAME_COUNT_MAX,
  ringGeometry,
} from "../../../ffi/packet_socket.ts";

Deno.test("a ring obeys the kernel's rules and keeps one distance between frames", () => {
  fc.assert(fc.property(
    fc.integer({ min: 128, max: 200_000 }),
    fc.integer({ min: 1, max: FRAME_COUNT_MAX }),
    fc.constantFrom(4096, 16_384, 65_536),
    (frameBytes, frameCount, pageBytes) => {
      const { frameStride, framesPerBlock, blockBytes, blockCount } = ringGeometry(
        frameBytes,
        frameCount,
        pageBytes,
      );
      assert.equal(blockBytes % pageBytes, 0, "blocks are whole pages");
      assert.equal(frameStride % 16, 0, "TPACKET_ALIGNMENT");
      assert.equal(framesPerBlock * frameStride, blockBytes, "no rest: the next block's first frame follows");
      assert.ok(frameStride >= frameBytes);
      assert.ok(framesPerBlock * blockCount >= frameCount);
      assert.ok(blockBytes <= Math.max(1 << 20, pageBytes));
      assert.ok(framesPerBlock * (blockCount - 1) < frameCount, "no block is unused");
    },
  ));
});

Deno.test("ordinary frames waste nothing of a block", () => {
  const { frameStride, framesPerBlock, blockBytes } = ringGeometry(FRAME_BYTES_ORDINARY, 8_192, 4096);
  assert.equal(frameStride, FRAME_BYTES_ORDINARY);
  assert.equal(framesPerBlock * frameStride, 1 << 20);
  assert.equal(blockBytes, 1 << 20, "the kernel allocates a block as a power of two");
});

Deno.test("frames for whole packets waste little of a block", () => {
  const { frameStride, blockBytes } = ringGeometry(FRAME_BYTES_WHOLE_PACKET, 256, 4096);
  // 14 bytes of Ethernet, 4 of a VLAN tag, and the longest packet.
  assert.ok(FRAME_BYTES_WHOLE_PACKET >= 76 + 18 + 65_535);
  assert.equal(frameStride, 69_632);
  assert.ok(blockBytes / (1 << 20) > 0.99, "the kernel allocates a block as a power of two");
});
