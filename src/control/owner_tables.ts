/** Who owns which bucket in the present view, for status, the bucket map and the list of connections. */
import { BUCKETS } from "../core/limits.ts";
import { type ClaimsBasis } from "../membership/types.ts";
import { Columns } from "../ownership/rendezvous.ts";
import { OwnerTable } from "../ownership/table.ts";

/** Members that take part in tables: what the membership thread builds claims from, this node included. */
export type Voters = ReadonlyArray<{ name: string; weights: readonly number[] }>;

/** The owner tables of one view, each built when first asked for and kept as long as nothing in it changes. */
export class OwnerTables {
  readonly #columns: Columns;
  #voters: Voters = [];
  #key = "";
  /** By the weights in it: services with equal weights share one. */
  readonly #tables = new Map<string, { table: OwnerTable; shares: Map<string, number> }>();

  /** `isGrouped`: whether whole groups of this table's buckets have one owner. */
  constructor(rendezvousKey: Uint8Array, readonly isGrouped: (table: number) => boolean) {
    this.#columns = new Columns(rendezvousKey);
  }

  get voters(): Voters {
    return this.#voters;
  }

  /** Names the present view: it changes with whatever changes a table. */
  get key(): string {
    return this.#key;
  }

  /** Takes the basis of a new view, which may be what it was: a view also comes with news of members. */
  update(basis: ClaimsBasis): void {
    const voters = [{ name: basis.ownName, weights: basis.ownWeights }, ...basis.members];
    const key = voters.map(({ name, weights }) => `${name}=${weights.join()}`).join(" ");
    if (key === this.#key) return;
    this.#key = key;
    this.#voters = voters;
    this.#tables.clear();
  }

  /** The table of a service number, or of presence. */
  table(number: number): OwnerTable {
    return this.#at(number).table;
  }

  /** Name → fraction of the buckets. */
  shares(number: number): ReadonlyMap<string, number> {
    return this.#at(number).shares;
  }

  #at(number: number): { table: OwnerTable; shares: Map<string, number> } {
    const weighted = this.#voters.map(({ name, weights }) => ({ name, weight: weights[number] ?? 0 }));
    const columns = this.#columns;
    const grouped = this.isGrouped(number);
    const key = `${grouped} ${weighted.map(({ weight }) => weight).join()}`;
    const kept = this.#tables.get(key);
    if (kept !== undefined) return kept;
    const table = OwnerTable.build(
      weighted.map((member) => ({
        ...member,
        column: grouped ? columns.groupedOf(member.name) : columns.of(member.name),
      })),
    );
    const counts = table.counts();
    const built = {
      table,
      shares: new Map(weighted.map(({ name }, index) => [name, counts[index] / BUCKETS])),
    };
    this.#tables.set(key, built);
    return built;
  }
}
