import { describe, expect, test } from "vitest";
import {
  IDENTITIES,
  KINDS,
  ageOf,
  climbOf,
  decodeFrame,
  flightLevelOf,
  headingOf,
  isCoasting,
  isSimulated,
  knotsOf,
  latitudeOf,
  longitudeOf,
  sensorsOf,
  squawkOf,
} from "./frame";
import { firstLine, secondLine, thirdLine } from "./labeltext";

/** A frame of two tracks, written byte by byte from the format's description. */
function twoTracks(): ArrayBuffer {
  const data = new ArrayBuffer(32 + 2 * (28 + 2));
  const view = new DataView(data);
  new Uint8Array(data).set([0x53, 0x4b, 0x59, 0x50, 2, 0, 2, 0]);
  view.setUint32(8, 77, true);
  view.setUint32(12, 2, true);
  view.setUint32(16, 5, true);
  view.setFloat64(24, 1_700_000_000.25, true);
  let at = 32;
  const put = (bytes: number, write: (at: number, row: number) => void) => {
    for (let row = 0; row < 2; row++, at += bytes) write(at, row);
  };
  put(4, (to, row) => view.setUint32(to, [7, 32767][row], true));
  put(4, (to, row) => view.setInt32(to, [42_000_000, -1_799_999_999][row], true));
  put(4, (to, row) => view.setInt32(to, [557_000_000, -899_999_999][row], true));
  put(2, (to, row) => view.setUint16(to, [16384, 0][row], true));
  put(2, (to, row) => view.setUint16(to, [2572, 0][row], true));
  put(2, (to, row) => view.setInt16(to, [1200, -32768][row], true));
  put(2, (to, row) => view.setInt16(to, [254, -32768][row], true));
  put(2, (to, row) => view.setUint16(to, [0o7421, 65535][row], true));
  put(2, (to, row) => view.setUint16(to, [8, 1][row], true));
  put(1, (to, row) => view.setUint8(to, [10, 255][row]));
  put(1, (to, row) => view.setUint8(to, [96, 0][row]));
  put(1, (to, row) => view.setUint8(to, [2, 0][row]));
  put(1, (to, row) => view.setUint8(to, [5, 0][row]));
  put(2, (to, row) => view.setUint16(to, [0b1_0000_0101, 0][row], true));
  return data;
}

describe("a frame", () => {
  const frame = decodeFrame(twoTracks());

  test("has a header", () => {
    expect(frame).toMatchObject({ sequence: 77, epoch: 5, time: 1_700_000_000.25, count: 2, isHistory: false });
  });

  test("gives each track's fields in the units people read", () => {
    expect([...frame.number]).toEqual([7, 32767]);
    expect(longitudeOf(frame, 0)).toBeCloseTo(4.2, 9);
    expect(latitudeOf(frame, 0)).toBeCloseTo(55.7, 9);
    expect(headingOf(frame, 0)).toBe(90);
    expect(knotsOf(frame, 0)).toBeCloseTo(500, 0);
    expect(flightLevelOf(frame, 0)).toBe(300);
    expect(climbOf(frame, 0)).toBeCloseTo(1000, 0);
    expect(squawkOf(frame, 0)).toBe("7421");
    expect(ageOf(frame, 0)).toBe(2.5);
    expect(isCoasting(frame, 1)).toBe(true);
    expect([isSimulated(frame, 0), isSimulated(frame, 1)]).toEqual([true, false]);
    expect([IDENTITIES[frame.identity[0]], IDENTITIES[frame.identity[1]]]).toEqual(["assumed friend", "pending"]);
    expect([KINDS[frame.kind[0]], KINDS[frame.kind[1]]]).toEqual(["drone", "unknown"]);
  });

  test("says in a label's first line who is coasting and who is simulated", () => {
    expect(firstLine(frame, 0, undefined)).toBe("T0007 SIM");
    expect(firstLine(frame, 1, { number: 32767, uid: "1", callsign: "KLM1" })).toBe("KLM1~");
  });

  test("says in a label's second line what is not known, what is withheld, and how old it is after 15 s", () => {
    const track = { number: 32767, uid: "1" };
    expect(secondLine(frame, 0, undefined)).toBe("300^50");
    expect(secondLine(frame, 1, track)).toBe("--- 00 64s");
    const unknown = { ...frame, speed: new Uint16Array([65535, 65535]) };
    expect([knotsOf(unknown, 1), secondLine(unknown, 1, track)]).toEqual([null, "--- -- 64s"]);
    const kept = { ...track, withheld: ["altitude", "velocity", "squawk"] };
    expect(secondLine(unknown, 1, kept)).toBe("### ## 64s");
    expect(thirdLine(frame, 1, kept)).toBe("#### ------");
  });

  test("says null for what is not known", () => {
    expect([flightLevelOf(frame, 1), climbOf(frame, 1), squawkOf(frame, 1)]).toEqual([null, null, null]);
  });

  test("names the sensors by their bits", () => {
    expect(sensorsOf(frame, 0)).toEqual([0, 2, 8]);
    expect(sensorsOf(frame, 1)).toEqual([]);
  });

  test("of another kind or length is refused", () => {
    const good = twoTracks();
    expect(() => decodeFrame(good.slice(0, 20))).toThrow("20 bytes");
    expect(() => decodeFrame(good.slice(0, -1))).toThrow("instead of");
    const other = good.slice(0);
    new DataView(other).setUint8(4, 9);
    expect(() => decodeFrame(other)).toThrow("reload");
  });
});
