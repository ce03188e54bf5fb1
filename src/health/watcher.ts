/** Waiting for descriptors that the event loop does not know: the kernel's notifications and our own sockets. */

export interface Watcher {
  /** Calls `onReady` once, when the descriptor is readable. The answer takes it back; do so before closing it. */
  once(fd: number, onReady: () => void): () => void;
}

/** Waits until the descriptor is readable; false when `signal` was first. */
export function readable(watcher: Watcher, fd: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const aborted = () => {
      takeBack();
      resolve(false);
    };
    const takeBack = watcher.once(fd, () => {
      signal.removeEventListener("abort", aborted);
      resolve(true);
    });
    signal.addEventListener("abort", aborted, { once: true });
  });
}
