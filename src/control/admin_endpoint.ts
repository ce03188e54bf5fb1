/** The admin endpoint of a running daemon: its tokens, its certificate, its sockets, and what it tells the log. */
import { createAdminApp } from "../admin/app.ts";
import { type CertificateFiles, loadCertificate } from "../admin/certificate.ts";
import type { Certificate } from "../admin/listener.ts";
import { type AdminServer, serveAdmin } from "../admin/server.ts";
import type { FarmSource } from "../admin/source.ts";
import { TokenStore } from "../admin/tokens.ts";
import { type FarmConfig } from "../config/load.ts";
import type { ListenAddress } from "../config/values.ts";
import { messageOf, VipfarmError } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { FileWatch } from "./file_watch.ts";
import { type Ticker } from "./ticker.ts";

/** How often an endpoint that could not be opened as configured is tried again. */
const RETRY_INTERVAL_MS = 5_000;

export interface AdminEndpointParts {
  farm: FarmSource;
  admin: FarmConfig["admin"];
  runtimeDir: string;
  ticker: Pick<Ticker, "latenessMsMax">;
  record(event: FarmEventInit): void;
  debug(text: string): void;
}

/** Something that was opened. */
interface Opened {
  close(): Promise<void>;
}

/** Reads what is to be there before it can be opened. @throws VipfarmError */
export async function readAdminFiles({ tokensFile, tls }: FarmConfig["admin"]): Promise<AdminFiles> {
  const tokens = tokensFile === undefined ? undefined : await TokenStore.load(tokensFile);
  return { tokens, certificate: tls && await loadCertificate(tls) };
}

interface AdminFiles {
  readonly tokens?: TokenStore;
  readonly certificate?: Certificate;
}

/** Opens it as it is configured. Close it before what `farm` is made of. @throws VipfarmError */
export async function openAdminEndpoint(parts: AdminEndpointParts): Promise<Opened> {
  const { record } = parts;
  const { listen, tokensFile, tls } = parts.admin;
  const files = await readAdminFiles(parts.admin);
  const { tokens } = files;
  const server = await serve(parts, listen, files);

  /** Takes up files that were replaced; what is wrong with them is told, and what was in use stays. */
  const renew = async (what: string, take: () => Promise<void>) => {
    try {
      await take();
      record({
        severity: "info",
        kind: "admin.renewed",
        message: `The admin endpoint uses the new ${what}.`,
      });
    } catch (error) {
      record({
        severity: "error",
        kind: "admin.not_renewed",
        message: `The admin endpoint goes on with the old ${what}: ${messageOf(error)}`,
      });
    }
  };
  const watches: FileWatch[] = [];
  if (tokens !== undefined) {
    const take = async () => tokens.replace(await TokenStore.load(tokensFile!));
    watches.push(new FileWatch([tokensFile!], () => void renew("tokens", take)));
  }
  if (tls !== undefined) {
    watches.push(new FileWatch(paths(tls), () => void renew("certificate", takeCertificate)));
  }
  async function takeCertificate() {
    server.renew(await loadCertificate(tls!));
  }
  return {
    close: async () => {
      for (const watch of watches) watch.close();
      await server.shutdown();
    },
  };
}

function paths({ certificateFile, keyFile }: CertificateFiles): string[] {
  return [certificateFile, keyFile];
}

function serve(
  { farm, runtimeDir, ticker, record, debug }: AdminEndpointParts,
  listen?: ListenAddress,
  { tokens, certificate }: AdminFiles = {},
): Promise<AdminServer> {
  const report = (error: Error) =>
    record({
      severity: "error",
      kind: "admin.failed",
      message: `The admin endpoint failed: ${error.message}`,
    });
  return serveAdmin({
    app: createAdminApp(farm, {
      listen,
      tokens,
      report,
      debug,
      loopLagMs: () => ticker.latenessMsMax,
    }),
    unixPath: `${runtimeDir}/admin.sock`,
    listen,
    tokens: tokens !== undefined,
    certificate,
  });
}

/**
 * The admin endpoint of a program that goes on where another one stopped: no packet needs it, so nothing of it may keep
 * the node from serving. While it cannot be opened as configured, the command line of this host alone is answered.
 */
export class EnduringAdminEndpoint implements Opened {
  #opened: Opened | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt: Promise<void>;
  #isClosed = false;

  private constructor(readonly parts: AdminEndpointParts, readonly retryMs: number) {
    this.#attempt = this.#open();
  }

  /** Opens what can be opened now. Close it before what `farm` is made of. */
  static async open(parts: AdminEndpointParts, retryMs = RETRY_INTERVAL_MS): Promise<EnduringAdminEndpoint> {
    const endpoint = new EnduringAdminEndpoint(parts, retryMs);
    await endpoint.#attempt;
    return endpoint;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#attempt;
    await this.#opened?.close();
  }

  async #open(): Promise<void> {
    try {
      this.#opened = await openAdminEndpoint(this.parts);
    } catch (error) {
      this.#opened = await this.#openLocally();
      const answers = this.#opened === undefined ? "is closed" : "answers on the socket of this host alone";
      const remedy = error instanceof VipfarmError && error.remedy !== undefined ? ` ${error.remedy}` : "";
      this.parts.record({
        severity: "error",
        kind: "admin.not_opened",
        message: `The admin endpoint ${answers}, and is tried again every ${this.retryMs / 1_000} s: ${
          messageOf(error)
        }.${remedy}`,
      });
      this.#retryLater();
    }
  }

  /** One after the other, and none after the end. */
  #retryLater(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#attempt = this.#retry(), this.retryMs);
  }

  async #retry(): Promise<void> {
    // Whoever is connected to the socket of this host is cut off only for something.
    if (await canOpen(this.parts.admin)) {
      await this.#opened?.close();
      this.#opened = await openAdminEndpoint(this.parts).catch(() => undefined);
      if (this.#opened !== undefined) {
        const message = "The admin endpoint is open as it is configured.";
        return this.parts.record({ severity: "info", kind: "admin.opened", message });
      }
    }
    this.#opened ??= await this.#openLocally();
    this.#retryLater();
  }

  async #openLocally(): Promise<Opened | undefined> {
    try {
      const server = await serve(this.parts);
      return { close: () => server.shutdown() };
    } catch {
      return undefined;
    }
  }
}

async function canOpen(admin: FarmConfig["admin"]): Promise<boolean> {
  try {
    await readAdminFiles(admin);
    if (admin.listen !== undefined) {
      Deno.listen({ hostname: admin.listen.host, port: admin.listen.port }).close();
    }
    return true;
  } catch {
    return false;
  }
}
