/** The words of a track's label: fixed order and width, `---` for what is not known, `###` for what is withheld. */
import {
  GEOMETRIC_ALTITUDE,
  ageOf,
  climbOf,
  flightLevelOf,
  isCoasting,
  isSimulated,
  knotsOf,
  squawkOf,
  type Frame,
} from "./frame";
import { isAged, trackLabel } from "./filters";
import { isWithheld, type TrackName } from "./picture";

const LEVEL_FLIGHT = 300; // ft/min below which a track is said to keep its level

/** What stands for a value that is not there: `---` when it is not known, `###` when a partner does not get it. */
export const missing = (name: TrackName | undefined, field: string, width: number): string =>
  (isWithheld(name, field) ? "#" : "-").repeat(width);

/** Flight level, three digits. */
export function levelText(frame: Frame, row: number, name: TrackName | undefined): string {
  const level = flightLevelOf(frame, row);
  if (level === null) return missing(name, "altitude", 3);
  const rounded = Math.round(level);
  return rounded < 0 ? `-${String(-rounded).padStart(2, "0")}` : String(rounded).padStart(3, "0");
}

/** `^` climbing, `v` descending, `=` level, a blank when not known. */
export function tendency(frame: Frame, row: number): string {
  const climb = climbOf(frame, row);
  if (climb === null) return " ";
  return climb > LEVEL_FLIGHT ? "^" : climb < -LEVEL_FLIGHT ? "v" : "=";
}

const FIRST_FOREIGN = 32768; // track numbers from here on mean nothing to people

/** The number that people know a track by: ours, or the joint one where we have none. */
export const numberText = (number: number, name: TrackName | undefined): string =>
  number < FIRST_FOREIGN ? trackLabel(number) : (name?.joint ?? trackLabel(number));

/** First line: callsign or track number; `~` says coasting, `SIM` simulated. */
export function firstLine(frame: Frame, row: number, name: TrackName | undefined): string {
  const flags = (isCoasting(frame, row) ? "~" : "") + (isSimulated(frame, row) ? " SIM" : "");
  return (name?.callsign ?? numberText(frame.number[row], name)) + flags;
}

/**
 * Second line: flight level (`*` says that the height is geometric), tendency, ground speed in tens of
 * knots; and the age of a track that got no plot for long.
 */
export function secondLine(frame: Frame, row: number, name: TrackName | undefined): string {
  const geometric = frame.flags[row] & GEOMETRIC_ALTITUDE ? "*" : "";
  const knots = knotsOf(frame, row);
  const speed = knots === null ? missing(name, "velocity", 2) : String(Math.round(knots / 10)).padStart(2, "0");
  const age = isAged(frame, row) ? ` ${ageOf(frame, row).toFixed(0)}s` : "";
  return `${levelText(frame, row, name)}${geometric}${tendency(frame, row)}${speed}${age}`;
}

/** Third line, of the selected track: Mode 3/A code and Mode S address. */
export function thirdLine(frame: Frame, row: number, name: TrackName | undefined): string {
  return `${squawkOf(frame, row) ?? missing(name, "squawk", 4)} ${name?.address ?? missing(name, "address", 6)}`;
}
