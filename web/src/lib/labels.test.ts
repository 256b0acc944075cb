import { describe, expect, test } from "vitest";
import { LabelPlacer, MUST_SHOW, SYMBOL_RADIUS, overlaps, type LabelRequest, type PlacedLabel } from "./labels";

const WIDTH = 1000;
const HEIGHT = 600;

/** Numbers from 0 to 1 that are the same in each run. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

const request = (id: number, x: number, y: number, priority = 10): LabelRequest => ({
  id,
  x,
  y,
  width: 56,
  height: 28,
  shortWidth: 44,
  shortHeight: 15,
  priority,
});

function crowd(count: number, seed = 1): LabelRequest[] {
  const random = randoms(seed);
  return Array.from({ length: count }, (_, id) => request(id, random() * WIDTH, random() * HEIGHT));
}

const overlapping = (placed: PlacedLabel[]): number => {
  let count = 0;
  placed.forEach((a, i) => placed.slice(i + 1).forEach((b) => (count += overlaps(a, b) ? 1 : 0)));
  return count;
};

describe("label placement", () => {
  test("gives a lone track its label at the north-east", () => {
    const [label] = new LabelPlacer().place([request(1, 500, 300)], WIDTH, HEIGHT, 0);
    expect(label.slot).toBe(0);
    expect(label.left).toBeGreaterThan(500);
    expect(label.top + label.height).toBeLessThan(300);
  });

  test("never lets two labels overlap nor leave the view", () => {
    for (const count of [50, 300, 2000]) {
      const placed = new LabelPlacer().place(crowd(count, count), WIDTH, HEIGHT, 0);
      expect(overlapping(placed)).toBe(0);
      for (const label of placed) {
        expect(label.left).toBeGreaterThanOrEqual(0);
        expect(label.top).toBeGreaterThanOrEqual(0);
        expect(label.left + label.width).toBeLessThanOrEqual(WIDTH);
        expect(label.top + label.height).toBeLessThanOrEqual(HEIGHT);
      }
    }
  });

  test("always shows those that must, however dense the crowd", () => {
    const requests = crowd(2000);
    for (const id of [3, 700, 1999]) requests[id].priority = MUST_SHOW;
    const shown = new Set(new LabelPlacer().place(requests, WIDTH, HEIGHT, 0).map((label) => label.id));
    for (const id of [3, 700, 1999]) expect(shown).toContain(id);
  });

  test("covers the protected symbol with no label", () => {
    const requests = crowd(800);
    const { x, y } = requests[40];
    const box = {
      left: x - SYMBOL_RADIUS,
      top: y - SYMBOL_RADIUS,
      width: 2 * SYMBOL_RADIUS,
      height: 2 * SYMBOL_RADIUS,
    };
    const placed = new LabelPlacer().place(requests, WIDTH, HEIGHT, 0, 40);
    expect(placed.filter((label) => overlaps(label, box))).toEqual([]);
  });

  test("covers no symbol with an ordinary label when it is placed first", () => {
    const requests = crowd(300);
    for (const label of new LabelPlacer().place(requests, WIDTH, HEIGHT, 0)) {
      const covered = requests.filter(
        ({ id, x, y }) =>
          id !== label.id &&
          x > label.left &&
          x < label.left + label.width &&
          y > label.top &&
          y < label.top + label.height,
      );
      expect(covered).toEqual([]);
    }
  });

  test("keeps labels in their slots while the tracks move", () => {
    const placer = new LabelPlacer();
    const requests = crowd(300);
    const random = randoms(9);
    const steps = requests.map(() => [random() - 0.5, random() - 0.5]);
    let before = new Map(placer.place(requests, WIDTH, HEIGHT, 0).map((label) => [label.id, label.slot]));
    for (let second = 1; second <= 30; second++) {
      requests.forEach((item, id) => {
        item.x += steps[id][0];
        item.y += steps[id][1];
      });
      const after = new Map(placer.place(requests, WIDTH, HEIGHT, second * 1000).map((label) => [label.id, label.slot]));
      const both = [...after.keys()].filter((id) => before.has(id));
      const moved = both.filter((id) => after.get(id) !== before.get(id));
      expect(moved.length).toBeLessThan(0.05 * both.length);
      before = after;
    }
  });

  test("shortens a label before it hides it", () => {
    const placed = new LabelPlacer().place(crowd(600), WIDTH, HEIGHT, 0);
    expect(placed.some((label) => label.isShort)).toBe(true);
    expect(placed.length).toBeLessThan(600);
  });

  test("gives the more important label the place", () => {
    const close = [request(1, 500, 300), request(2, 501, 301)];
    close[1].priority = 20;
    const [first] = new LabelPlacer().place(close, WIDTH, HEIGHT, 0);
    expect(first.id).toBe(2);
  });
});
