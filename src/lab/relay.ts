/**
 * Makes a daemon's console reachable from the host's browser: an HTTP port on the loopback whose requests go to the
 * daemon's Unix socket. The daemons themselves listen inside their namespaces, where no browser is.
 *
 * A daemon trusts its socket, which no web page can reach. Through this port one could, by DNS rebinding: so every
 * request must name this port as its host, and its origin, if it has one, must be this port's own page.
 */

/** A listening relay. */
export class Relay implements AsyncDisposable {
  readonly url: string;
  readonly #client: Deno.HttpClient;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #closing = new AbortController();
  /** What a Host header may say. */
  readonly #hosts: readonly string[];

  /** Listens on 127.0.0.1, on `port` if it is free and else on any. */
  constructor(socketPath: string, port: number) {
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path: socketPath } });
    this.#server = this.#listen(port);
    const own = this.#server.addr.port;
    this.#hosts = ["127.0.0.1", "localhost", "[::1]"].map((name) => `${name}:${own}`);
    this.url = `http://127.0.0.1:${own}/`;
  }

  /** Ends every connection, also those with a stream of events. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#server.finished;
    this.#client.close();
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const serve = (port: number) =>
      Deno.serve(
        { hostname: "127.0.0.1", port, signal: this.#closing.signal, onListen: () => {} },
        (request) => this.#answer(request),
      );
    try {
      return serve(port);
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) return serve(0);
      throw error;
    }
  }

  async #answer(request: Request): Promise<Response> {
    const { method, headers, body, url } = request;
    const host = headers.get("host") ?? "";
    const origin = headers.get("origin");
    // The request line may carry a host of its own (RFC 9112 section 3.2.2).
    const isOwn = this.#hosts.includes(host) && new URL(url).host === host;
    if (!isOwn || (origin !== null && origin !== `http://${host}`)) {
      return failure(403, "host_not_allowed", "this port is for its own page only", `Open ${this.url}`);
    }
    try {
      return await fetch(url, { client: this.#client, method, headers, body, redirect: "manual" });
    } catch {
      return failure(502, "node_unreachable", "this node's daemon does not answer", "Start it again.");
    }
  }
}

/** A refusal in the API's form, which the console shows. */
function failure(status: number, code: string, message: string, remedy: string): Response {
  return Response.json({ error: { code, message, remedy } }, { status });
}
