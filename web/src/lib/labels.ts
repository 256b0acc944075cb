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
const COVERED_ON_STAYING = 1; // other symbols that an ordinary label may cover so as not to move
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

/** Things by grid cell, so that a box meets only its neighbours. */
class Grid<T> {
  private cells = new Map<number, T[]>();

  add(item: T, box: Box): void {
    this.eachCell(box, (key) => {
      const cell = this.cells.get(key);
      if (cell) cell.push(item);
      else this.cells.set(key, [item]);
    });
  }

  some(box: Box, test: (item: T) => boolean): boolean {
    let found = false;
    this.eachCell(box, (key) => {
      if (!found) found = this.cells.get(key)?.some(test) ?? false;
    });
    return found;
  }

  each(box: Box, visit: (item: T) => void): void {
    this.eachCell(box, (key) => this.cells.get(key)?.forEach(visit));
  }

  private eachCell(box: Box, visit: (key: number) => void): void {
    const right = Math.floor((box.left + box.width) / CELL);
    const bottom = Math.floor((box.top + box.height) / CELL);
    for (let row = Math.floor(box.top / CELL); row <= bottom; row++) {
      for (let column = Math.floor(box.left / CELL); column <= right; column++) {
        visit(row * 65536 + column);
      }
    }
  }
}

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
    const symbols = new Grid<LabelRequest>();
    for (const request of requests) symbols.add(request, { left: request.x, top: request.y, width: 0, height: 0 });
    const safe = requests.find((request) => request.id === protectedId);
    const safeBox = safe && {
      left: safe.x - SYMBOL_RADIUS,
      top: safe.y - SYMBOL_RADIUS,
      width: 2 * SYMBOL_RADIUS,
      height: 2 * SYMBOL_RADIUS,
    };
    const view = { left: 0, top: 0, width, height };
    const placed: PlacedLabel[] = [];
    const taken = new Grid<PlacedLabel>();

    const isFree = (box: Box): boolean =>
      box.left >= view.left &&
      box.top >= view.top &&
      box.left + box.width <= view.width &&
      box.top + box.height <= view.height &&
      !(safeBox && overlaps(box, safeBox)) &&
      !taken.some(grown(box, GAP), (other) => overlaps(box, other, GAP));

    const covered = (box: Box, id: number): number => {
      let count = 0;
      const reach = grown(box, SYMBOL_RADIUS / 2);
      symbols.each(reach, (symbol) => {
        const inside =
          symbol.x > reach.left &&
          symbol.x < reach.left + reach.width &&
          symbol.y > reach.top &&
          symbol.y < reach.top + reach.height;
        if (inside && symbol.id !== id) count++;
      });
      return count;
    };

    for (const request of this.inOrder(requests).slice(0, TRIED_MOST)) {
      const kept = this.memory.get(request.id);
      const found = this.findSlot(request, kept?.slot ?? -1, isFree, covered);
      if (found) {
        placed.push(found);
        taken.add(found, found);
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
    covered: (box: Box, id: number) => number,
  ): PlacedLabel | null {
    const must = request.priority >= MUST_SHOW;
    const slots = must ? SLOTS * RINGS.length : SLOTS;
    for (const isShort of request.shortHeight > 0 ? [false, true] : [false]) {
      const label = (slot: number, box: Box): PlacedLabel => ({
        ...box,
        id: request.id,
        slot,
        isShort,
        x: request.x,
        y: request.y,
      });
      if (keptSlot >= 0 && keptSlot < slots) {
        const box = boxInSlot(request, keptSlot, isShort);
        if (isFree(box) && covered(box, request.id) <= COVERED_ON_STAYING) return label(keptSlot, box);
      }
      let best: PlacedLabel | null = null;
      let bestCost = must ? Infinity : 1;
      for (let slot = 0; slot < slots && bestCost > 0; slot++) {
        const box = boxInSlot(request, slot, isShort);
        if (!isFree(box)) continue;
        const cost = covered(box, request.id) + Math.floor(slot / SLOTS);
        if (cost < bestCost) {
          best = label(slot, box);
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
