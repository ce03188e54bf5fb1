/** The admin endpoint of a running daemon: its tokens, its sockets, and what it tells the log. */
import { createAdminApp } from "../admin/app.ts";
import { serveAdmin } from "../admin/server.ts";
import { TokenStore } from "../admin/tokens.ts";
import { type FarmConfig } from "../config/load.ts";
import { type FarmEventInit } from "../core/events.ts";
import { type Farm } from "./farm.ts";

export interface AdminEndpointParts {
  farm: Farm;
  admin: FarmConfig["admin"];
  runtimeDir: string;
  record(event: FarmEventInit): void;
  debug(text: string): void;
}

/** Opens it. Close it before what `farm` is made of. */
export async function openAdminEndpoint(parts: AdminEndpointParts): Promise<{ close(): Promise<void> }> {
  const { farm, runtimeDir, record, debug } = parts;
  const { listen, tokensFile } = parts.admin;
  const tokens = tokensFile === undefined ? undefined : await TokenStore.load(tokensFile);
  const report = (error: Error) =>
    record({
      severity: "error",
      kind: "admin.failed",
      message: `The admin endpoint failed: ${error.message}`,
    });
  const server = await serveAdmin({
    app: createAdminApp(farm, { listen, tokens, report, debug }),
    unixPath: `${runtimeDir}/admin.sock`,
    listen,
    tokens: tokens !== undefined,
  });
  return { close: () => server.shutdown() };
}
