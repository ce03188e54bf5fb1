/** This kernel's open connections as the API lists them: in a fixed order, a page at a time, in bounded room. */
import { Buffer } from "node:buffer";
import { type FlowAnswer, type FlowsAnswer, type FlowsQuestion } from "../admin/detail_schemas.ts";
import { addressFromBytes } from "../core/address.ts";
import { CLAIM, CONTESTED, RETAINED } from "../dataplane/shared.ts";
import { NO_OWNER, type OwnerTable } from "../ownership/table.ts";

/** One connection as the kernel has it; the bytes are valid only during the visit. */
export interface OpenConnection {
  /** Service number. */
  readonly table: number;
  readonly bucket: number;
  readonly virtualIp: number;
  readonly virtualPort: number;
  /** 4 or 16 bytes. */
  readonly client: Uint8Array;
  readonly clientPort: number;
}

/** What a connection is put into words with. */
export interface FlowContext {
  readonly node: string;
  readonly services: readonly string[];
  readonly virtualIps: readonly string[];
  /** This node's byte for a bucket. */
  flags(table: number, bucket: number): number;
  owners(table: number): Pick<OwnerTable, "members" | "owner">;
}

/** Where the connection stands: see `FlowSchema`. */
function placeOf(flags: number): FlowAnswer["place"] {
  if ((flags & CLAIM) === 0) return (flags & RETAINED) !== 0 ? "retained" : "claimed";
  return (flags & CONTESTED) !== 0 ? "contested" : "claimed";
}

/** One page of the connections that `each` visits, in the order of bucket, client, port and virtual IP. */
export function flowsPage(
  each: (visit: (connection: OpenConnection) => void) => void,
  { service, place = "moving", after = "", limit }: FlowsQuestion,
  context: FlowContext,
): FlowsAnswer {
  let kept: Array<{ key: string; flow: FlowAnswer }> = [];
  let total = 0, later = 0;
  each((connection) => {
    const at = placeOf(context.flags(connection.table, connection.bucket));
    const name = context.services[connection.table - 1];
    if (service !== undefined && service !== name) return;
    if (place !== "all" && place !== at && !(place === "moving" && at !== "claimed")) return;
    total++;
    const key = keyOf(connection);
    if (key <= after) return;
    later++;
    kept.push({ key, flow: flowOf(connection, name, at, context) });
    if (kept.length >= 2 * limit) kept = smallest(kept, limit);
  });
  kept = smallest(kept, limit);
  return {
    node: context.node,
    flows: kept.map(({ flow }) => flow),
    total,
    next: later > kept.length ? kept[kept.length - 1].key : null,
  };
}

function smallest<T extends { key: string }>(entries: T[], limit: number): T[] {
  return entries.sort((a, b) => a.key < b.key ? -1 : 1).slice(0, limit);
}

/** 46 hexadecimal digits; their order is that of the list. */
function keyOf({ bucket, client, clientPort, virtualIp, virtualPort }: OpenConnection): string {
  const bytes = Buffer.alloc(23);
  bytes.writeUInt16BE(bucket, 0);
  bytes.set(client, 2);
  bytes.writeUInt16BE(clientPort, 18);
  bytes.writeUInt16BE(virtualPort, 20);
  bytes.writeUInt8(virtualIp, 22);
  return bytes.toString("hex");
}

function flowOf(
  { table, bucket, virtualIp, virtualPort, client, clientPort }: OpenConnection,
  service: string,
  place: FlowAnswer["place"],
  context: FlowContext,
): FlowAnswer {
  const { members, owner } = context.owners(table);
  return {
    service,
    virtual_ip: context.virtualIps[virtualIp],
    virtual_port: virtualPort,
    client: addressFromBytes(client.slice()).text,
    client_port: clientPort,
    bucket,
    owner: owner[bucket] === NO_OWNER ? null : members[owner[bucket]].name,
    place,
  };
}
