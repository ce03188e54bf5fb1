/** A thread that enters the namespace it is told and says what it sees there. */

import { enterNetworkNamespace } from "../../ffi/namespace.ts";
import { links } from "../../ffi/rtnetlink.ts";

self.onmessage = ({ data }: MessageEvent<string>) => {
  enterNetworkNamespace(data);
  self.postMessage({
    namespace: Deno.readLinkSync("/proc/thread-self/ns/net"),
    links: links().map(({ name }) => name),
  });
};
