// SPDX-License-Identifier: Apache-2.0
// One direction of a connection, as slow as it is told to be. What is pushed comes out in the same order, each once.

export interface Weather {
  /** Nothing comes through, in neither direction, and nothing says so. */
  dropped: boolean;
  /** Milliseconds that each message is under way. */
  delay: number;
  /** Bytes a second; 0 is as many as there are. */
  rate: number;
  /** Messages a second that are read; 0 is as many as there are. */
  reads: number;
}

export const CALM: Weather = { dropped: false, delay: 0, rate: 0, reads: 0 };

export class Pipe {
  private readonly weather: () => Weather;
  private readonly reading: boolean;
  private queue: { at: number; size: number; run: () => void }[] = [];
  private free = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `reading`: the direction in which a slow reader is slow. */
  constructor(weather: () => Weather, reading: boolean) {
    this.weather = weather;
    this.reading = reading;
  }

  /** Calls `run` once `size` bytes are through: at once when nothing is in the way. */
  push(size: number, run: () => void) {
    this.queue.push({ at: performance.now() + this.weather().delay, size, run });
    if (this.queue.length === 1) this.pump();
  }

  /** The weather is another. */
  pump() {
    clearTimeout(this.timer);
    for (let head = this.queue[0]; head && !this.weather().dropped; head = this.queue[0]) {
      const wait = Math.max(head.at, this.free) - performance.now();
      if (wait > 1) {
        this.timer = setTimeout(() => this.pump(), wait);
        return;
      }
      this.queue.shift();
      this.free = performance.now() + this.cost(head.size);
      head.run();
    }
  }

  /** What has not come through is lost. */
  cut() {
    clearTimeout(this.timer);
    this.queue = [];
  }

  private cost(size: number) {
    const { rate, reads } = this.weather();
    return Math.max(rate > 0 ? size / rate * 1000 : 0, this.reading && reads > 0 ? 1000 / reads : 0);
  }
}
