/**
 * The log as systemd-journald takes it, with fields that can be searched: `journalctl -u vipfarm VIPFARM_EVENT=member.joined`,
 * `journalctl -p warning`. Protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
 */
import { UnixDatagramSender } from "../../ffi/unix_datagram.ts";

const JOURNAL_SOCKET = "/run/systemd/journal/socket";

/** Names of fields, in capitals as journald wants them, and values. */
export type JournalFields = Readonly<Record<string, string>>;

/** A way into the journal. */
export class Journal {
  readonly #sender: UnixDatagramSender;

  constructor(path: string = JOURNAL_SOCKET) {
    this.#sender = new UnixDatagramSender(path);
  }

  /** False if the journal did not take it. */
  write(fields: JournalFields): boolean {
    return this.#sender.send(encodeFields(fields));
  }

  close(): void {
    this.#sender.close();
  }
}

/**
 * The journal, if standard error goes there: then systemd has named its socket by device and inode in JOURNAL_STREAM
 * (systemd.exec(5)), and somebody who has redirected it gets plain lines.
 */
export function journalOfStderr(): Journal | undefined {
  const stream = Deno.env.get("JOURNAL_STREAM");
  if (!stream) return undefined;
  try {
    const { dev, ino } = Deno.statSync("/proc/self/fd/2");
    return stream === `${dev}:${ino}` ? new Journal() : undefined;
  } catch {
    return undefined;
  }
}

/** `NAME=value` on a line each; a value of several lines has its length in front. */
export function encodeFields(fields: JournalFields): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const encoder = new TextEncoder();
  for (const [name, value] of Object.entries(fields)) {
    const bytes = encoder.encode(value);
    if (!value.includes("\n")) {
      parts.push(encoder.encode(`${name}=`), bytes);
    } else {
      const length = new Uint8Array(new BigUint64Array([BigInt(bytes.length)]).buffer);
      parts.push(encoder.encode(`${name}\n`), length, bytes);
    }
    parts.push(encoder.encode("\n"));
  }
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
