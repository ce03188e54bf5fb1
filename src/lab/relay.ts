/**
 * Makes a daemon's console reachable from the host's browser: a TCP port on the loopback whose connections go to the
 * daemon's Unix socket. The daemons themselves listen inside their namespaces, where no browser is.
 */

/** Connections at once: a browser uses six, and its event streams stay open. */
const CONNECTIONS_MAX = 64;

/** A listening relay. */
export class Relay implements Disposable {
  readonly url: string;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();

  /** Listens on 127.0.0.1, on `port` if it is free and else on any. */
  constructor(socketPath: string, port: number) {
    this.#listener = listen(port);
    this.url = `http://127.0.0.1:${this.#listener.addr.port}/`;
    this.#serve(socketPath);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#open) closeQuietly(connection);
  }

  async #serve(socketPath: string): Promise<void> {
    for await (const connection of this.#listener) {
      if (this.#open.size >= CONNECTIONS_MAX * 2) connection.close();
      else this.#join(connection, socketPath);
    }
  }

  async #join(browser: Deno.Conn, socketPath: string): Promise<void> {
    this.#open.add(browser);
    try {
      const daemon = await Deno.connect({ transport: "unix", path: socketPath });
      this.#open.add(daemon);
      // A side that ends, ends both: HTTP needs no half-closed connections here.
      const both = new AbortController();
      const pipe = (from: Deno.Conn, to: Deno.Conn) =>
        from.readable.pipeTo(to.writable, { signal: both.signal }).catch(() => {}).finally(() =>
          both.abort()
        );
      await Promise.all([pipe(browser, daemon), pipe(daemon, browser)]);
      closeQuietly(daemon);
      this.#open.delete(daemon);
    } catch {
      // The daemon does not run: the browser sees a closed connection, as it would on a real host.
    } finally {
      closeQuietly(browser);
      this.#open.delete(browser);
    }
  }
}

function listen(port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname: "127.0.0.1", port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return Deno.listen({ hostname: "127.0.0.1", port: 0 });
    throw error;
  }
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already by the end of its stream.
  }
}
