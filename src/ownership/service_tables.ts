/**
 * The owner tables in use, one for each service, and the columns that they are made of: how to come by the next table in
 * the cheapest way. Of some services each group of buckets has one owner (`firstOfGroup` in rendezvous.ts).
 */
import { Columns } from "./rendezvous.ts";
import { OwnerTable, type WeightedMember } from "./table.ts";

/** Members with their weights for one service; the first is this node. */
export type Members = ReadonlyArray<{ readonly name: string; readonly weight: number }>;

export class ServiceTables {
  readonly #columns: Columns;
  /** The last table in use for each service. */
  readonly #current: Array<OwnerTable | undefined>;

  /** `isGrouped` says for each service whether groups have one owner. */
  constructor(rendezvousKey: Uint8Array, readonly isGrouped: readonly boolean[]) {
    this.#columns = new Columns(rendezvousKey);
    this.#current = isGrouped.map(() => undefined);
  }

  /** Computes the column of a member ahead of need: 65,536 hashes that no takeover should have to wait for. */
  prepare(name: string): void {
    this.#columns.of(name);
  }

  /** Whether the column of this member is there already. */
  prepared(name: string): boolean {
    return this.#columns.has(name);
  }

  /** The table for these members from now on: one that is there already, else from runners-up, else built anew. */
  next(service: number, wanted: Members): OwnerTable {
    const last = this.#current[service];
    // Services with equal weights have equal tables: one is built for all of them.
    const alike = this.#current.filter((_, other) => this.isGrouped[other] === this.isGrouped[service]);
    const equal = [last, ...alike].find((each) => each !== undefined && sameMembers(each.members, wanted));
    const departed = last === undefined ? -1 : departure(last.members, wanted);
    const next = equal ?? (departed > 0 ? last!.without(departed) : this.build(service, wanted));
    this.#current[service] = next;
    return next;
  }

  /** A table for these members that is not kept. */
  build(service: number, members: Members): OwnerTable {
    const columns = this.#columns;
    return OwnerTable.build(members.map((member) => ({
      ...member,
      column: this.isGrouped[service] ? columns.groupedOf(member.name) : columns.of(member.name),
    })));
  }
}

/** Whether both lists name the same weights; a member of weight 0 that only one of them names does not count. */
function sameMembers(members: readonly WeightedMember[], wanted: Members): boolean {
  return weightOf(members).size === weightOf(wanted).size &&
    members[0].name === wanted[0].name && members[0].weight === wanted[0].weight &&
    wanted.every(({ name, weight }) => (weightOf(members).get(name) ?? 0) === weight);
}

/** Index in `members` of the one member (never this node, number 0) whose departure makes them `wanted`, or -1. */
function departure(members: readonly WeightedMember[], wanted: Members): number {
  const weights = weightOf(wanted);
  const gone = members.filter(({ name, weight }) => weight > 0 && !weights.has(name));
  if (gone.length !== 1) return -1;
  const index = members.indexOf(gone[0]);
  return sameMembers(members.filter((_, i) => i !== index), wanted) ? index : -1;
}

function weightOf(members: Members): Map<string, number> {
  return new Map(members.filter(({ weight }) => weight > 0).map(({ name, weight }) => [name, weight]));
}
