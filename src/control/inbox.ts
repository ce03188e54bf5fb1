/**
 * Messages in order of arrival, to those who want them: one of a kind to whoever waits for it, every one of a kind to its
 * handler. What nobody has asked for yet is kept until somebody does, and no longer: some are large.
 */
export class Inbox<Message> {
  readonly #waiting = new Map<string, (message: Message) => void>();
  readonly #handlers = new Map<string, (message: Message) => void>();
  #early: Message[] = [];

  constructor(readonly kindOf: (message: Message) => string) {}

  /** The next message of this kind, or the first that nobody has asked for. */
  once(kind: string): Promise<Message> {
    const index = this.#early.findIndex((message) => this.kindOf(message) === kind);
    if (index >= 0) return Promise.resolve(this.#early.splice(index, 1)[0]);
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#waiting.set(kind, resolve);
    return promise;
  }

  /** Every message of this kind from now on, those that came already first. */
  on(kind: string, handle: (message: Message) => void): void {
    this.#handlers.set(kind, handle);
    const early = this.#early;
    this.#early = [];
    for (const message of early) this.take(message);
  }

  /** A message has come. */
  take(message: Message): void {
    const kind = this.kindOf(message);
    const wanted = this.#waiting.get(kind) ?? this.#handlers.get(kind);
    this.#waiting.delete(kind);
    if (wanted === undefined) this.#early.push(message);
    else wanted(message);
  }

  /** Messages that nobody has asked for. */
  get keptCount(): number {
    return this.#early.length;
  }
}
