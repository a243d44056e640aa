// Asks again and again while somebody looks.

// `work(signal)` is awaited, then `ms` later done again; while the page is hidden, not at all.
// Errors go to `onError`; the next turn comes all the same, unless it stops the poll.
export class Poll {
  constructor(ms, work, onError) {
    this.ms = ms;
    this.work = work;
    this.onError = onError;
    this.timer = null;
    this.abort = null;
    this.is_on = false;
    this.onVisibility = () => (document.hidden ? this.rest() : this.now());
  }

  start() {
    this.is_on = true;
    document.addEventListener("visibilitychange", this.onVisibility);
    return this.now();
  }

  stop() {
    this.is_on = false;
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.rest();
  }

  rest() {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = null;
  }

  // What still runs is given up: it may know less.
  async now() {
    this.rest();
    if (!this.is_on || document.hidden) return;
    const abort = this.abort = new AbortController();
    try {
      await this.work(abort.signal);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.onError(error);
    }
    if (this.abort === abort && this.is_on) this.timer = setTimeout(() => this.now(), this.ms);
  }
}
