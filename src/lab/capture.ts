/** What really went over a wire of the lab: tcpdump(8) into a file, read back as text. */

import { VipfarmError } from "../core/errors.ts";
import { lines } from "./lines.ts";
import type { LabNamespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";

/** tcpdump starts at once or not at all. */
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5000;
/** Kernel buffer in KiB. Each frame takes up what `snapBytes` allows, however short it is. */
const BUFFER_KIB = 65_536;
/** A whole 64 KB packet with its Ethernet header; the buffer holds 500 of them. */
const SNAP_BYTES_WHOLE = 65_600;
/** Headers, for counting: the buffer holds 150,000 while tcpdump waits for a processor. */
export const SNAP_BYTES_HEADERS = 256;

/** A running capture. Stop it before reading. */
export class Capture {
  /** The pcap file. */
  readonly file: string;
  readonly #namespace: LabNamespace;
  readonly #process: LabProcess;
  /** What tcpdump says, line by line. */
  readonly #said: AsyncGenerator<string, undefined>;
  #stopped = false;

  private constructor(
    file: string,
    namespace: LabNamespace,
    process: LabProcess,
    said: AsyncGenerator<string, undefined>,
  ) {
    this.file = file;
    this.#namespace = namespace;
    this.#process = process;
    this.#said = said;
  }

  /**
   * Captures frames that match the pcap-filter(7) expression, up to `snapBytes` of each; returns once tcpdump
   * listens.
   */
  static async start(
    namespace: LabNamespace,
    device: string,
    filter: string,
    file: string,
    snapBytes = SNAP_BYTES_WHOLE,
  ): Promise<Capture> {
    // -Z root: a lab's directory may not be readable by the user that tcpdump would change to.
    const snap = ["-s", String(snapBytes), "--immediate-mode", "-B", String(BUFFER_KIB)];
    const flags = ["-U", "-n", ...snap, "-Z", "root"];
    const process = namespace.spawn(["tcpdump", ...flags, "-i", device, "-w", file, filter], {
      stderr: "piped",
    });
    const timer = setTimeout(() => process.signal("SIGKILL"), START_TIMEOUT_MS);
    const said: string[] = [];
    const output = lines(process.child.stderr);
    for (;;) {
      const { value, done } = await output.next();
      if (done) {
        clearTimeout(timer);
        await process.kill();
        throw new VipfarmError({ operation: "capture packets", problem: said.join("; "), value: filter });
      }
      said.push(value);
      if (value.includes("listening on")) break;
    }
    clearTimeout(timer);
    return new Capture(file, namespace, process, output);
  }

  /**
   * Ends the capture; the file is then whole.
   * @throws VipfarmError if the kernel dropped frames because tcpdump was too slow: then nothing can be counted.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#process.signal("SIGINT");
    await this.#process.ended(STOP_TIMEOUT_MS);
    let dropped = 0;
    for await (const line of this.#said) {
      dropped += Number(/^(\d+) packets? dropped by kernel/.exec(line)?.[1] ?? 0);
    }
    await this.#process.kill();
    if (dropped > 0) {
      throw new VipfarmError({
        operation: "capture packets",
        problem: "tcpdump was too slow for its buffer, and frames are missing",
        value: `${dropped} frames`,
        remedy: "Capture less of each frame, or fewer frames.",
      });
    }
  }

  /** One line for each frame as tcpdump prints it, with Ethernet addresses and absolute sequence numbers. */
  async lines(filter = ""): Promise<string[]> {
    const argv = ["tcpdump", "-nn", "-e", "-S", "-tt", "-r", this.file];
    const { stdout } = await this.#namespace.run(filter === "" ? argv : [...argv, filter]);
    return stdout.split("\n").filter((line) => line !== "");
  }

  /** The pcap file's bytes. */
  bytes(): Promise<Uint8Array> {
    return Deno.readFile(this.file);
  }
}
