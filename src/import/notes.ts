/** What an import could not translate, or translated into something that is not quite the same. */

export interface ImportNote {
  /** Line of the file that is imported. */
  readonly line: number;
  /** `untranslated`: has no counterpart in the new file. `changed`: works differently. */
  readonly kind: "untranslated" | "changed";
  /** One sentence or two: what it is, and what to do. */
  readonly text: string;
  /** The section of the new file that it is about. */
  readonly section: string;
}

/** Collects notes while a file is translated. */
export class ImportNotes {
  readonly #notes: ImportNote[] = [];

  /** In the order of the file that is imported. */
  get all(): ImportNote[] {
    return this.#notes.toSorted((a, b) => a.line - b.line);
  }

  untranslated(section: string, line: number, text: string): void {
    this.#notes.push({ kind: "untranslated", section, line, text });
  }

  changed(section: string, line: number, text: string): void {
    this.#notes.push({ kind: "changed", section, line, text });
  }
}
