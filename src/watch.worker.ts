/** The thread that sleeps for the control thread: see control/watcher.ts. */
import { EpollSet } from "../ffi/epoll.ts";
import { END_NUMBER, type FromWatch, type ToWatch } from "./control/watcher.ts";

const post = (message: FromWatch) => self.postMessage(message);

self.onmessage = ({ data }: MessageEvent<ToWatch>) => {
  const set = EpollSet.adopt(data.epoll);
  for (;;) {
    const ready = set.wait();
    if (ready.includes(END_NUMBER)) return post({ ended: true });
    if (ready.length > 0) post({ ready });
  }
};
