/**
 * Changes to the host, with their undo. What is about to change is written down, with its former value, and is on
 * disk before the change is made; so that after a crash at any point the next start can put everything back.
 */

import { messageOf, VipfarmError } from "../core/errors.ts";
import { bootId } from "./boot_id.ts";
import { writeDurably } from "./durable_file.ts";
import { readSysctl, writeSysctl } from "./sysctl_file.ts";

/** Name of the journal in the runtime directory. */
export const JOURNAL_FILE = "undo.json";
/** Form of the journal; another form is not ours to undo. */
const JOURNAL_VERSION = 1;
/** A host has a few settings for each VIP interface. A journal with more than this was not written by us. */
const CHANGES_MAX = 4096;

/** One setting to put back. */
export interface SysctlChange {
  readonly path: string;
  readonly former: string;
  readonly value: string;
}

interface Journal {
  readonly version: number;
  /** After a reboot the kernel has its defaults again. */
  readonly bootId: string;
  /** Settings of another network namespace cannot be undone from this one. */
  readonly namespace: string;
  readonly changes: readonly SysctlChange[];
}

/** What an undo did. */
export interface UndoReport {
  /** Settings that have their former value again. */
  readonly undone: readonly SysctlChange[];
  /** Settings left alone, because their interface is gone or somebody else has changed them since. */
  readonly left: ReadonlyArray<SysctlChange & { readonly why: string }>;
  /** Why a journal was dropped without undoing anything. */
  readonly dropped?: string;
}

export const NOTHING_UNDONE: UndoReport = { undone: [], left: [] };

/** The host's settings that this daemon has changed. One for each runtime directory. */
export class HostChanges {
  readonly #journalPath: string;
  readonly #identity: { readonly bootId: string; readonly namespace: string };
  #changes: SysctlChange[] = [];

  /**
   * Starts with no changes; undo what a crash left first ({@link undoLeftovers}).
   * @throws VipfarmError if a journal is there already.
   */
  constructor(runtimeDirectory: string) {
    this.#journalPath = `${runtimeDirectory}/${JOURNAL_FILE}`;
    this.#identity = hostIdentity();
    if (readIfThere(this.#journalPath) !== undefined) {
      throw new VipfarmError({
        operation: "change host settings",
        problem: "a former run left changes that were not undone",
        value: this.#journalPath,
        remedy: "Undo them first: vipfarm run --undo.",
      });
    }
  }

  /** What was changed so far, oldest first. */
  get changes(): readonly SysctlChange[] {
    return this.#changes;
  }

  /**
   * Sets sysctls, after writing all their former values down at once. Those that have the value already are not ours.
   * @returns what was changed.
   * @throws VipfarmError if a setting does not exist.
   */
  setSysctls(
    wanted: ReadonlyArray<{ readonly path: string; readonly value: string }>,
  ): readonly SysctlChange[] {
    const changes: SysctlChange[] = [];
    for (const { path, value } of wanted) {
      const former = readSysctl(path);
      if (former === undefined) throw absent(path);
      if (former !== value) changes.push({ path, former, value });
    }
    if (changes.length === 0) return changes;
    this.#record(changes);
    for (const { path, value } of changes) {
      if (!writeSysctl(path, value)) throw absent(path);
    }
    return changes;
  }

  /** Sets one sysctl, after writing its former value down. */
  setSysctl(path: string, value: string): void {
    this.setSysctls([{ path, value }]);
  }

  /** Puts everything back, latest first, and removes the journal. */
  undoAll(): UndoReport {
    const report = putBack(this.#changes);
    this.#changes = [];
    removeIfThere(this.#journalPath);
    return report;
  }

  #record(changes: readonly SysctlChange[]): void {
    // A setting that is changed a second time keeps its first former value.
    const known = new Map(this.#changes.map((change) => [change.path, change]));
    const next = this.#changes.filter(({ path }) => !changes.some((change) => change.path === path));
    for (const change of changes) {
      next.push({ ...change, former: known.get(change.path)?.former ?? change.former });
    }
    if (next.length > CHANGES_MAX) {
      throw new VipfarmError({
        operation: "change host settings",
        problem: "too many changes",
        value: `${next.length}, at most ${CHANGES_MAX}`,
      });
    }
    const journal: Journal = { version: JOURNAL_VERSION, ...this.#identity, changes: next };
    try {
      writeDurably(this.#journalPath, JSON.stringify(journal, undefined, 2) + "\n");
    } catch (cause) {
      throw new VipfarmError({
        operation: "write down the host's settings before they are changed",
        problem: messageOf(cause),
        value: this.#journalPath,
        remedy: "Make room on that file system, or choose another directory with --runtime-dir.",
        cause,
      });
    }
    this.#changes = next;
  }
}

/**
 * Undoes what a daemon that crashed has left in this runtime directory. Nobody else may be running there: hold the
 * lock. A journal from before a reboot, or of another network namespace, is dropped.
 */
export function undoLeftovers(runtimeDirectory: string): UndoReport {
  const journalPath = `${runtimeDirectory}/${JOURNAL_FILE}`;
  const text = readIfThere(journalPath);
  if (text === undefined) return NOTHING_UNDONE;
  const journal = parseJournal(text);
  if (journal === undefined) {
    // Kept for a human eye; its name no longer stops the daemon.
    Deno.renameSync(journalPath, `${journalPath}.unreadable`);
    return {
      ...NOTHING_UNDONE,
      dropped: `${journalPath} is not a journal of this version; it is now ${journalPath}.unreadable`,
    };
  }
  const identity = hostIdentity();
  let report: UndoReport;
  if (journal.bootId !== identity.bootId) {
    report = { ...NOTHING_UNDONE, dropped: "it was written before the last reboot, which undid everything" };
  } else if (journal.namespace !== identity.namespace) {
    report = { ...NOTHING_UNDONE, dropped: "it was written in another network namespace" };
  } else {
    report = putBack(journal.changes);
  }
  removeIfThere(journalPath);
  return report;
}

function putBack(changes: readonly SysctlChange[]): UndoReport {
  const undone: SysctlChange[] = [];
  const left: Array<SysctlChange & { why: string }> = [];
  for (const change of changes.toReversed()) {
    const now = readSysctl(change.path);
    if (now === undefined) left.push({ ...change, why: "its interface is gone" });
    else if (now === change.former) undone.push(change); // written down, but the crash came before the change
    else if (now !== change.value) left.push({ ...change, why: `somebody has set it to ${now} since` });
    else if (!writeSysctl(change.path, change.former)) left.push({ ...change, why: "its interface is gone" });
    else undone.push(change);
  }
  return { undone, left };
}

function parseJournal(text: string): Journal | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const journal = value as Partial<Journal> | null;
  if (typeof journal !== "object" || journal?.version !== JOURNAL_VERSION) return undefined;
  if (typeof journal.bootId !== "string" || typeof journal.namespace !== "string") return undefined;
  if (!Array.isArray(journal.changes) || journal.changes.length > CHANGES_MAX) return undefined;
  const valid = journal.changes.every((change: Partial<SysctlChange> | null) =>
    [change?.path, change?.former, change?.value].every((field) => typeof field === "string")
  );
  return valid ? journal as Journal : undefined;
}

function hostIdentity(): { bootId: string; namespace: string } {
  return {
    bootId: bootId(),
    namespace: Deno.readLinkSync("/proc/thread-self/ns/net"),
  };
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function absent(path: string): VipfarmError {
  return new VipfarmError({
    operation: "set a sysctl",
    problem: "this host does not have it",
    value: path,
    remedy: "Check that the interface exists; IPv6 settings need IPv6 in the kernel.",
  });
}
