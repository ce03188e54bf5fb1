/** The other end of ffi/unix_datagram.ts, for tests: what systemd and journald do with such a socket. */

import assert from "node:assert/strict";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const BYTES_MAX = 65_536;

const libc = Deno.dlopen("libc.so.6", {
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags);
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
}).symbols;

/** A bound socket; `path` may begin with `@`. */
export class UnixDatagramReceiver implements Disposable {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BYTES_MAX);

  constructor(path: string) {
    const name = new TextEncoder().encode(path.startsWith("@") ? path : `${path}\0`);
    const address = new Uint8Array(2 + name.length);
    address[0] = AF_UNIX;
    address.set(name, 2);
    if (path.startsWith("@")) address[2] = 0;
    this.#fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert.ok(this.#fd >= 0);
    assert.equal(libc.bind(this.#fd, address, address.length), 0, `cannot bind ${path}`);
  }

  /** The next datagram that waits; undefined if none does. */
  receive(): Uint8Array | undefined {
    const length = Number(libc.recv(this.#fd, this.#buffer, BigInt(BYTES_MAX), MSG_DONTWAIT));
    return length < 0 ? undefined : this.#buffer.slice(0, length);
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** What systemd hears from one service: every line with its moment. */
export class FakeServiceManager implements Disposable {
  readonly heard: Array<{ readonly atMs: number; readonly line: string }> = [];
  readonly #receiver: UnixDatagramReceiver;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(path: string) {
    this.#receiver = new UnixDatagramReceiver(path);
    Deno.chmodSync(path, 0o777);
    this.#timer = setInterval(() => this.#take(), 10);
  }

  /** Moments at which a line came that matches. */
  momentsOf(pattern: RegExp): number[] {
    return this.heard.filter(({ line }) => pattern.test(line)).map(({ atMs }) => atMs);
  }

  /** The last status. */
  get status(): string | undefined {
    return this.heard.findLast(({ line }) => line.startsWith("STATUS="))?.line.slice("STATUS=".length);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#receiver[Symbol.dispose]();
  }

  #take(): void {
    for (let bytes; (bytes = this.#receiver.receive()) !== undefined;) {
      const atMs = performance.timeOrigin + performance.now();
      for (const line of new TextDecoder().decode(bytes).split("\n")) this.heard.push({ atMs, line });
    }
  }
}
