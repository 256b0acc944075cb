/**
 * Places labels beside their symbols so that none overlaps another: greedy, most important first, each in
 * one of eight slots around its symbol, and in the slot it had before when that is still free. What fits
 * nowhere is tried as one line, then hidden.
 */

export interface LabelRequest {
  id: number;
  /** Pixels of the symbol's middle. */
  x: number;
  y: number;
  width: number;
  height: number;
  /** Size when only the first line is shown; 0 when there is no shorter form. */
  shortWidth: number;
  shortHeight: number;
  /** Higher goes first; from `MUST_SHOW` on the label is shown whatever it costs. */
  priority: number;
}

export interface PlacedLabel {
  id: number;
  left: number;
  top: number;
  width: number;
  height: number;
  slot: number;
  isShort: boolean;
  /** The symbol, for the leader line. */
  x: number;
  y: number;
}

export const MUST_SHOW = 100;
export const SYMBOL_RADIUS = 11; // pixels

const SLOTS = 8;
const RINGS = [14, 30, 52, 80]; // pixels from the symbol; the outer ones only for labels that must show
const GAP = 2; // pixels kept free between labels
const CELL = 64; // pixels of the search grid
const FINE = 4; // pixels of the cells in which symbols are counted
const COVER_REACH = 4; // pixels around a label within which it covers a symbol
const COVERED_ON_STAYING = 2; // other symbols that an ordinary label may cover so as not to move
const TRIED_MOST = 3000; // labels tried; beyond it the screen has long been full
const MEMORY = 60_000; // ms for which a hidden label's slot is remembered

// Where the label's box lies, as steps of its own size and of the ring: north-east first.
const SIDE_X = [1, 1, -1, -1, 1, -1, 0, 0];
const SIDE_Y = [-1, 1, -1, 1, 0, 0, -1, 1];

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export const overlaps = (a: Box, b: Box, gap = 0): boolean =>
  a.left < b.left + b.width + gap &&
  b.left < a.left + a.width + gap &&
  a.top < b.top + b.height + gap &&
  b.top < a.top + a.height + gap;

/** Placed labels by grid cell, so that a box meets only its neighbours. */
class TakenBoxes {
  private cells = new Map<number, Box[]>();

  add(box: Box): void {
    this.someCell(box, (key) => {
      const cell = this.cells.get(key);
      if (cell) cell.push(box);
      else this.cells.set(key, [box]);
      return false;
    });
  }

  meets(box: Box): boolean {
    return this.someCell(grown(box, GAP), (key) => {
      const cell = this.cells.get(key);
      return cell !== undefined && cell.some((other) => overlaps(box, other, GAP));
    });
  }

  private someCell(box: Box, test: (key: number) => boolean): boolean {
    const right = Math.floor((box.left + box.width) / CELL);
    const bottom = Math.floor((box.top + box.height) / CELL);
    for (let row = Math.floor(box.top / CELL); row <= bottom; row++) {
      for (let column = Math.floor(box.left / CELL); column <= right; column++) {
        if (test(row * 65536 + column)) return true;
      }
    }
    return false;
  }
}

/** Counts the symbols in a box in constant time, by a summed-area table over cells of a few pixels. */
class SymbolCounts {
  private columns: number;
  private rows: number;
  private sums: Uint32Array;

  constructor(requests: LabelRequest[], width: number, height: number) {
    this.columns = Math.ceil(width / FINE) + 1;
    this.rows = Math.ceil(height / FINE) + 1;
    const stride = this.columns + 1;
    this.sums = new Uint32Array(stride * (this.rows + 1));
    for (const { x, y } of requests) {
      if (x >= 0 && y >= 0 && x < width && y < height) {
        this.sums[(Math.floor(y / FINE) + 1) * stride + Math.floor(x / FINE) + 1]++;
      }
    }
    for (let row = 1; row <= this.rows; row++) {
      let line = 0;
      for (let column = 1; column <= this.columns; column++) {
        line += this.sums[row * stride + column];
        this.sums[row * stride + column] = line + this.sums[(row - 1) * stride + column];
      }
    }
  }

  /** Symbols whose middle lies in the box, give or take a cell's size outwards. */
  within(left: number, top: number, right: number, bottom: number): number {
    const stride = this.columns + 1;
    const first = clamp(Math.floor(left / FINE), this.columns);
    const last = clamp(Math.floor(right / FINE) + 1, this.columns);
    const above = clamp(Math.floor(top / FINE), this.rows) * stride;
    const below = clamp(Math.floor(bottom / FINE) + 1, this.rows) * stride;
    const sums = this.sums;
    return sums[below + last] - sums[above + last] - sums[below + first] + sums[above + first];
  }
}

const clamp = (value: number, most: number): number => (value < 0 ? 0 : value > most ? most : value);

function boxInSlot(request: LabelRequest, slot: number, isShort: boolean): Box {
  const ring = RINGS[Math.floor(slot / SLOTS)];
  const side = slot % SLOTS;
  const width = isShort ? request.shortWidth : request.width;
  const height = isShort ? request.shortHeight : request.height;
  // A corner slot touches the ring's diagonal, a side slot its axis.
  const reach = SIDE_X[side] && SIDE_Y[side] ? ring * 0.75 : ring;
  const left = request.x + SIDE_X[side] * reach + ((SIDE_X[side] - 1) / 2) * width;
  const top = request.y + SIDE_Y[side] * reach + ((SIDE_Y[side] - 1) / 2) * height;
  return { left, top, width, height };
}

export class LabelPlacer {
  /** Slot of each label and when it was last asked for, ms. */
  private memory = new Map<number, { slot: number; asked: number; shown: boolean }>();

  /**
   * Places `requests` in a view of the given size. `protectedId` is a symbol that no label may cover.
   * `now` is in milliseconds.
   */
  place(requests: LabelRequest[], width: number, height: number, now: number, protectedId = -1): PlacedLabel[] {
    const symbols = new SymbolCounts(requests, width, height);
    const safe = requests.find((request) => request.id === protectedId);
    const safeBox = safe && {
      left: safe.x - SYMBOL_RADIUS,
      top: safe.y - SYMBOL_RADIUS,
      width: 2 * SYMBOL_RADIUS,
      height: 2 * SYMBOL_RADIUS,
    };
    const placed: PlacedLabel[] = [];
    const taken = new TakenBoxes();

    const isFree = (box: Box): boolean =>
      box.left >= 0 &&
      box.top >= 0 &&
      box.left + box.width <= width &&
      box.top + box.height <= height &&
      !(safeBox && overlaps(box, safeBox)) &&
      !taken.meets(box);

    // A slot never holds its own symbol, so that each symbol found is another's.
    const covered = ({ left, top, width: across, height: down }: Box): number =>
      symbols.within(left - COVER_REACH, top - COVER_REACH, left + across + COVER_REACH, top + down + COVER_REACH);

    for (const request of this.inOrder(requests).slice(0, TRIED_MOST)) {
      const kept = this.memory.get(request.id);
      const found = this.findSlot(request, kept?.slot ?? -1, isFree, covered);
      if (found) {
        placed.push(found);
        taken.add(found);
      }
      const slot = found ? found.slot : (kept?.slot ?? -1);
      this.memory.set(request.id, { slot, asked: now, shown: found !== null });
    }
    for (const [id, kept] of this.memory) if (now - kept.asked > MEMORY) this.memory.delete(id);
    return placed;
  }

  /** By priority; among equals first those shown before, so that labels do not take turns, then by number. */
  private inOrder(requests: LabelRequest[]): LabelRequest[] {
    const rank = (request: LabelRequest): number =>
      request.priority * 2 + (this.memory.get(request.id)?.shown ? 1 : 0);
    return requests
      .map((request) => ({ request, rank: rank(request) }))
      .sort((a, b) => b.rank - a.rank || a.request.id - b.request.id)
      .map(({ request }) => request);
  }

  private findSlot(
    request: LabelRequest,
    keptSlot: number,
    isFree: (box: Box) => boolean,
    covered: (box: Box) => number,
  ): PlacedLabel | null {
    const must = request.priority >= MUST_SHOW;
    const slots = must ? SLOTS * RINGS.length : SLOTS;
    const forms = request.shortHeight > 0 ? [false, true] : [false];
    const label = (slot: number, isShort: boolean, box: Box): PlacedLabel => ({
      ...box,
      id: request.id,
      slot,
      isShort,
      x: request.x,
      y: request.y,
    });
    // Rather shorter in its old slot than whole in another: a label that jumps costs the eye more.
    if (keptSlot >= 0 && keptSlot < slots) {
      for (const isShort of forms) {
        const box = boxInSlot(request, keptSlot, isShort);
        if (covered(box) <= COVERED_ON_STAYING && isFree(box)) return label(keptSlot, isShort, box);
      }
    }
    for (const isShort of forms) {
      let best: PlacedLabel | null = null;
      let bestCost = must ? Infinity : 1;
      for (let slot = 0; slot < slots && bestCost > 0; slot++) {
        const box = boxInSlot(request, slot, isShort);
        const cost = covered(box) + Math.floor(slot / SLOTS);
        if (cost < bestCost && isFree(box)) {
          best = label(slot, isShort, box);
          bestCost = cost;
        }
      }
      if (best) return best;
    }
    return null;
  }
}

const grown = (box: Box, by: number): Box => ({
  left: box.left - by,
  top: box.top - by,
  width: box.width + 2 * by,
  height: box.height + 2 * by,
});
