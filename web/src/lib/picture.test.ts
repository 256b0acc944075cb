import { describe, expect, test } from "vitest";
import type { Frame } from "./frame";
import { PictureStore, TRAIL_DOTS } from "./picture";

function frame(time: number, numbers: number[], extra: Partial<Frame> = {}): Frame {
  const count = numbers.length;
  return {
    isHistory: false,
    sequence: time,
    epoch: 1,
    time,
    count,
    number: Uint32Array.from(numbers),
    longitude: new Int32Array(count).fill(time * 1e7),
    latitude: new Int32Array(count).fill(50e7),
    heading: new Uint16Array(count),
    speed: new Uint16Array(count),
    altitude: new Int16Array(count),
    verticalRate: new Int16Array(count),
    squawk: new Uint16Array(count),
    flags: new Uint16Array(count),
    age: new Uint8Array(count),
    sigma: new Uint8Array(count),
    identity: new Uint8Array(count),
    kind: new Uint8Array(count),
    sensorBytes: 0,
    sensors: new Uint8Array(0),
    ...extra,
  };
}

const dots = (store: PictureStore, number: number): number[] => {
  const found: number[] = [];
  store.eachDot(number, (longitude) => found.push(Math.round(longitude)));
  return found;
};

describe("trails", () => {
  test("hold the last positions, one each period", () => {
    const store = new PictureStore();
    for (let time = 0; time < 60; time++) store.apply(frame(time, [1]));
    expect(dots(store, 1)).toEqual([24, 32, 40, 48, 56]);
    expect(dots(store, 1)).toHaveLength(TRAIL_DOTS);
  });

  test("come from earlier pictures on connecting, without becoming the picture", () => {
    const store = new PictureStore();
    expect(store.apply(frame(0, [1], { isHistory: true }))).toBe(false);
    expect(store.frame).toBeNull();
    expect(store.apply(frame(9, [1]))).toBe(true);
    expect(dots(store, 1)).toEqual([0, 9]);
  });

  test("end with their track, and with time that goes back", () => {
    const store = new PictureStore();
    store.apply(frame(0, [1, 2]));
    store.apply(frame(8, [1]));
    expect(dots(store, 2)).toEqual([]);
    store.apply(frame(3, [1]));
    expect(dots(store, 1)).toEqual([3]);
  });

  test("do not pass to another aircraft that gets the number", () => {
    const store = new PictureStore();
    store.setNames([{ number: 1, uid: "a" }]);
    store.apply(frame(0, [1]));
    store.changeNames({ changed: [{ number: 1, uid: "b" }], ended: [] });
    expect(dots(store, 1)).toEqual([]);
  });
});

test("after the centre started anew nothing of the old picture is left", () => {
  const store = new PictureStore();
  store.apply(frame(100, [1, 2]));
  store.apply(frame(101, [2], { epoch: 2 }));
  expect([store.rowOf(1), store.rowOf(2), store.rowOf(3)]).toEqual([-1, 0, -1]);
  expect(dots(store, 1)).toEqual([]);
});
