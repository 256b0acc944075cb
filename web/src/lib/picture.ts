/** The latest picture, the names of its tracks and their trails. */
import type { Frame } from "./frame";

export const TRAIL_DOTS = 5;

export interface TrackName {
  number: number;
  uid: string;
  /** Joint track number, the same at all partners. */
  joint?: string;
  /** Centres whose tracks are in it. */
  centres?: string[];
  callsign?: string;
  address?: string;
  /** In a partner's view: fields that we know and it does not get. */
  withheld?: string[];
}

/** Whether a partner's view keeps a field of the track back. */
export const isWithheld = (name: TrackName | undefined, field: string): boolean =>
  name?.withheld?.includes(field) ?? false;

interface TrackChanges {
  changed: TrackName[];
  ended: number[];
}

/** Where a track was: a ring of the last positions, 1e-7 degrees. */
interface Trail {
  longitude: Int32Array;
  latitude: Int32Array;
  next: number;
  count: number;
}

export class PictureStore {
  frame: Frame | null = null;
  names = new Map<number, TrackName>();
  trailPeriod = 8;
  /** Rises when any trail changed. */
  trailVersion = 0;
  private trails = new Map<number, Trail>();
  private lastDot = -Infinity;

  /** Take in a frame; returns whether it is now the picture (and not only trails). */
  apply(frame: Frame): boolean {
    if (this.frame && (frame.epoch !== this.frame.epoch || frame.time < this.frame.time)) this.clearTrails();
    if (frame.time >= this.lastDot + this.trailPeriod || frame.time < this.lastDot) this.addDots(frame);
    if (frame.isHistory) return false;
    this.frame = frame;
    return true;
  }

  /** Row of a track in the picture, which is ordered by number; -1 for none. */
  rowOf(number: number): number {
    const numbers = this.frame?.number ?? [];
    let [low, high] = [0, numbers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbers[middle] < number) low = middle + 1;
      else high = middle;
    }
    return numbers[low] === number ? low : -1;
  }

  /** All names anew, as after connecting. */
  setNames(names: TrackName[]): void {
    this.names = new Map(names.map((name) => [name.number, name]));
  }

  changeNames(changes: TrackChanges): void {
    this.trailVersion++;
    for (const number of changes.ended) {
      this.names.delete(number);
      this.trails.delete(number);
    }
    for (const name of changes.changed) {
      if (this.names.get(name.number)?.uid !== name.uid) this.trails.delete(name.number);
      this.names.set(name.number, name);
    }
  }

  /** Forget everything: the centre started anew. */
  clear(): void {
    this.frame = null;
    this.names.clear();
    this.clearTrails();
  }

  /** Calls `visit` with each earlier position of the track at `row`, degrees; `step` 0 is the oldest. */
  eachDot(number: number, visit: (longitude: number, latitude: number, step: number) => void): void {
    const trail = this.trails.get(number);
    if (!trail) return;
    for (let step = 0; step < trail.count; step++) {
      const at = (trail.next - trail.count + step + TRAIL_DOTS) % TRAIL_DOTS;
      visit(trail.longitude[at] * 1e-7, trail.latitude[at] * 1e-7, step);
    }
  }

  private clearTrails(): void {
    this.trails.clear();
    this.lastDot = -Infinity;
    this.trailVersion++;
  }

  private addDots(frame: Frame): void {
    this.lastDot = frame.time;
    this.trailVersion++;
    const present = new Set<number>();
    for (let row = 0; row < frame.count; row++) {
      const number = frame.number[row];
      present.add(number);
      let trail = this.trails.get(number);
      if (!trail) {
        trail = {
          longitude: new Int32Array(TRAIL_DOTS),
          latitude: new Int32Array(TRAIL_DOTS),
          next: 0,
          count: 0,
        };
        this.trails.set(number, trail);
      }
      trail.longitude[trail.next] = frame.longitude[row];
      trail.latitude[trail.next] = frame.latitude[row];
      trail.next = (trail.next + 1) % TRAIL_DOTS;
      trail.count = Math.min(trail.count + 1, TRAIL_DOTS);
    }
    for (const number of this.trails.keys()) if (!present.has(number)) this.trails.delete(number);
  }
}
