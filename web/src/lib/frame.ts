/** Decodes the binary picture frame; the layout is that of `skypact/display/frame.py`. */

const MAGIC = 0x50594b53; // "SKYP", little-endian
const VERSION = 2;
const HEADER_BYTES = 32;
const ROW_BYTES = 28; // without the sensor bytes

const HISTORY = 1;
export const COASTING = 1;
export const SINGLE_SENSOR = 2;
export const GEOMETRIC_ALTITUDE = 4;
export const SIMULATED = 8;

/** Standard identities, by the numbers in frames. */
export const IDENTITIES = [
  "pending",
  "unknown",
  "assumed friend",
  "friend",
  "neutral",
  "suspect",
  "hostile",
] as const;
/** What a track is of, by the numbers in frames. */
export const KINDS = ["unknown", "airliner", "jet", "light", "helicopter", "drone", "balloon", "bird"] as const;

const NO_INT16 = -32768;
const NO_UINT16 = 65535;
const METRES_PER_FOOT = 0.3048;
const METRES_PER_NAUTICAL_MILE = 1852;

/** One picture: columns that view the received bytes, one value per track. */
export interface Frame {
  isHistory: boolean;
  sequence: number;
  epoch: number;
  /** UTC, seconds since 1970. */
  time: number;
  count: number;
  number: Uint32Array;
  longitude: Int32Array;
  latitude: Int32Array;
  heading: Uint16Array;
  speed: Uint16Array;
  altitude: Int16Array;
  verticalRate: Int16Array;
  squawk: Uint16Array;
  flags: Uint16Array;
  age: Uint8Array;
  sigma: Uint8Array;
  identity: Uint8Array;
  kind: Uint8Array;
  sensorBytes: number;
  sensors: Uint8Array;
}

/** The frame in `data`; throws on bytes of another kind, version or length. */
export function decodeFrame(data: ArrayBuffer): Frame {
  if (data.byteLength < HEADER_BYTES) throw new Error(`frame of ${data.byteLength} bytes`);
  const header = new DataView(data);
  if (header.getUint32(0, true) !== MAGIC || header.getUint8(4) !== VERSION) {
    throw new Error("not a picture frame of this version: reload the page");
  }
  const sensorBytes = header.getUint8(6);
  const count = header.getUint32(12, true);
  const expected = HEADER_BYTES + count * (ROW_BYTES + sensorBytes);
  if (data.byteLength !== expected) {
    throw new Error(`frame of ${data.byteLength} bytes instead of ${expected}`);
  }
  let offset = HEADER_BYTES;
  const next = <T>(make: new (buffer: ArrayBuffer, offset: number, length: number) => T, bytes: number): T => {
    const column = new make(data, offset, count);
    offset += bytes * count;
    return column;
  };
  return {
    isHistory: (header.getUint8(5) & HISTORY) !== 0,
    sequence: header.getUint32(8, true),
    epoch: header.getUint32(16, true),
    time: header.getFloat64(24, true),
    count,
    number: next(Uint32Array, 4),
    longitude: next(Int32Array, 4),
    latitude: next(Int32Array, 4),
    heading: next(Uint16Array, 2),
    speed: next(Uint16Array, 2),
    altitude: next(Int16Array, 2),
    verticalRate: next(Int16Array, 2),
    squawk: next(Uint16Array, 2),
    flags: next(Uint16Array, 2),
    age: next(Uint8Array, 1),
    sigma: next(Uint8Array, 1),
    identity: next(Uint8Array, 1),
    kind: next(Uint8Array, 1),
    sensorBytes,
    sensors: new Uint8Array(data, offset, count * sensorBytes),
  };
}

/** Degrees. */
export const longitudeOf = (frame: Frame, row: number): number => frame.longitude[row] * 1e-7;

/** Degrees. */
export const latitudeOf = (frame: Frame, row: number): number => frame.latitude[row] * 1e-7;

/** Over ground, degrees clockwise from true north. */
export const headingOf = (frame: Frame, row: number): number => (frame.heading[row] * 360) / 65536;

/** Over ground, m/s; null when not known, and then the heading is not either. */
export const speedOf = (frame: Frame, row: number): number | null =>
  frame.speed[row] === NO_UINT16 ? null : frame.speed[row] * 0.1;

/** Over ground, knots; null when not known. */
export function knotsOf(frame: Frame, row: number): number | null {
  const speed = speedOf(frame, row);
  return speed === null ? null : (speed * 3600) / METRES_PER_NAUTICAL_MILE;
}

/** Hundreds of feet; null when neither altitude nor height is known. */
export function flightLevelOf(frame: Frame, row: number): number | null {
  const quarters = frame.altitude[row];
  return quarters === NO_INT16 ? null : quarters / 4;
}

/** Feet per minute; null when not known. */
export function climbOf(frame: Frame, row: number): number | null {
  const steps = frame.verticalRate[row];
  return steps === NO_INT16 ? null : (steps * 0.02 * 60) / METRES_PER_FOOT;
}

/** Four octal digits; null for none. */
export function squawkOf(frame: Frame, row: number): string | null {
  const code = frame.squawk[row];
  return code === NO_UINT16 ? null : code.toString(8).padStart(4, "0");
}

/** Seconds since the last plot, up to 63.75. */
export const ageOf = (frame: Frame, row: number): number => frame.age[row] * 0.25;

export const isSimulated = (frame: Frame, row: number): boolean => (frame.flags[row] & SIMULATED) !== 0;

export const isCoasting = (frame: Frame, row: number): boolean => (frame.flags[row] & COASTING) !== 0;

/** Rows of the sensor table that fed the track lately. */
export function sensorsOf(frame: Frame, row: number): number[] {
  const found: number[] = [];
  for (let byte = 0; byte < frame.sensorBytes; byte++) {
    const bits = frame.sensors[row * frame.sensorBytes + byte];
    for (let bit = 0; bit < 8; bit++) if (bits & (1 << bit)) found.push(byte * 8 + bit);
  }
  return found;
}
