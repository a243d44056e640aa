// What a stream carries, from its counters as they were at several times.

// Two samples that are further apart have a gap between them: nobody was looking.
export const kMostGap = 8000;  // ms

export class Traffic {
  constructor(windowMs) {
    this.window_ms = windowMs;
    this.samples = [];  // {at, in, out, sessions}: bytes/s since the sample before, or null
    this.last = null;
  }

  // `at`: ms on the clock of performance.now().
  add(at, stream) {
    const sample = {at, in: null, out: null, sessions: stream.sessions_active};
    if (this.last && at - this.last.at <= kMostGap && at > this.last.at) {
      const seconds = (at - this.last.at) / 1000;
      // Counters that fell are those of another process.
      sample.in = Math.max(0, stream.bytes_in - this.last.bytes_in) / seconds;
      sample.out = Math.max(0, stream.bytes_out - this.last.bytes_out) / seconds;
    }
    this.last = {at, bytes_in: stream.bytes_in, bytes_out: stream.bytes_out};
    this.samples.push(sample);
    while (this.samples.length && this.samples[0].at < at - this.window_ms - kMostGap)
      this.samples.shift();
  }

  get now() { return this.samples.at(-1) ?? {at: 0, in: null, out: null, sessions: null}; }
}
