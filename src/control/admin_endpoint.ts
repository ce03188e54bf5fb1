/** The admin endpoint of a running daemon: its tokens, its certificate, its sockets, and what it tells the log. */
import { createAdminApp } from "../admin/app.ts";
import { type CertificateFiles, loadCertificate } from "../admin/certificate.ts";
import { serveAdmin } from "../admin/server.ts";
import { TokenStore } from "../admin/tokens.ts";
import { type FarmConfig } from "../config/load.ts";
import { messageOf } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { type Farm } from "./farm.ts";
import { FileWatch } from "./file_watch.ts";
import { type Ticker } from "./ticker.ts";

export interface AdminEndpointParts {
  farm: Farm;
  admin: FarmConfig["admin"];
  runtimeDir: string;
  ticker: Ticker;
  record(event: FarmEventInit): void;
  debug(text: string): void;
}

/** Opens it. Close it before what `farm` is made of. */
export async function openAdminEndpoint(parts: AdminEndpointParts): Promise<{ close(): Promise<void> }> {
  const { farm, runtimeDir, ticker, record, debug } = parts;
  const { listen, tokensFile, tls } = parts.admin;
  const tokens = tokensFile === undefined ? undefined : await TokenStore.load(tokensFile);
  const report = (error: Error) =>
    record({
      severity: "error",
      kind: "admin.failed",
      message: `The admin endpoint failed: ${error.message}`,
    });
  const server = await serveAdmin({
    app: createAdminApp(farm, { listen, tokens, report, debug, loopLagMs: () => ticker.latenessMsMax }),
    unixPath: `${runtimeDir}/admin.sock`,
    listen,
    tokens: tokens !== undefined,
    certificate: tls && await loadCertificate(tls),
  });

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
