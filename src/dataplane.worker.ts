/** The packet thread, put together: one Worker for each interface with virtual IPs. It sleeps in poll(2). */
import { runPacketLoop } from "./dataplane/packet_loop.ts";
import { type FromDataplane, type ToDataplane } from "./thread_messages.ts";

const post = (message: FromDataplane) => self.postMessage(message);

self.onmessage = ({ data }: MessageEvent<ToDataplane>) => {
  runPacketLoop(data.plan, (prefilterRefused) => post({ kind: "ready", prefilterRefused }));
  post({ kind: "ended" });
};
