/** What really went over a wire of the lab: tcpdump(8) into a file, read back as text. */

import { VipfarmError } from "../core/errors.ts";
import { lines } from "./lines.ts";
import type { LabNamespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";

/** tcpdump starts at once or not at all. */
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5000;
/** Kernel buffer in KiB: holds some thousand 64 KB packets while tcpdump waits for a processor. */
const BUFFER_KIB = 65_536;

/** A running capture. Stop it before reading. */
export class Capture {
  /** The pcap file. */
  readonly file: string;
  readonly #namespace: LabNamespace;
  readonly #process: LabProcess;

  private constructor(file: string, namespace: LabNamespace, process: LabProcess) {
    this.file = file;
    this.#namespace = namespace;
    this.#process = process;
  }

  /** Captures whole frames that match the pcap-filter(7) expression; returns once tcpdump listens. */
  static async start(
    namespace: LabNamespace,
    device: string,
    filter: string,
    file: string,
  ): Promise<Capture> {
    // -Z root: a lab's directory may not be readable by the user that tcpdump would change to.
    const flags = ["-U", "-n", "-s", "0", "--immediate-mode", "-B", String(BUFFER_KIB), "-Z", "root"];
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
    await output.return(undefined);
    return new Capture(file, namespace, process);
  }

  /** Ends the capture; the file is then whole. */
  async stop(): Promise<void> {
    this.#process.signal("SIGINT");
    await this.#process.ended(STOP_TIMEOUT_MS);
    await this.#process.kill();
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
