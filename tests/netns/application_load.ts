/** A steady load on one address, as a program: a new connection every so often, and a line for what became of each. */
import process from "node:process";

/** One request over one connection; times are those of the wall clock, in ms. */
export interface Request {
  readonly startMs: number;
  readonly endMs: number;
  /** What the server said, or undefined if it did not. */
  readonly answer?: string;
  readonly error?: string;
}

const TIMEOUT_MS = 2_000;

async function request(hostname: string, port: number): Promise<Request> {
  const startMs = Date.now();
  let connection: Deno.TcpConn | undefined;
  const timer = setTimeout(() => connection?.close(), TIMEOUT_MS);
  try {
    connection = await Deno.connect({ hostname, port, signal: AbortSignal.timeout(TIMEOUT_MS) });
    await connection.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
    const text = await new Response(connection.readable).text();
    const answer = text.split("\r\n\r\n")[1]?.trim();
    return { startMs, endMs: Date.now(), answer };
  } catch (error) {
    return { startMs, endMs: Date.now(), error: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

if (import.meta.main) {
  const [hostname, port, everyMs] = process.argv.slice(2);
  setInterval(async () => {
    console.log(JSON.stringify(await request(hostname, Number(port))));
  }, Number(everyMs));
}
