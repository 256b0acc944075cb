/** The words of a track's label: fixed order and width, `---` for what is not known. */
import {
  GEOMETRIC_ALTITUDE,
  climbOf,
  flightLevelOf,
  isCoasting,
  isSimulated,
  knotsOf,
  squawkOf,
  type Frame,
} from "./frame";
import { trackLabel } from "./filters";
import type { TrackName } from "./picture";

const LEVEL_FLIGHT = 300; // ft/min below which a track is said to keep its level

/** Flight level, three digits. */
export function levelText(frame: Frame, row: number): string {
  const level = flightLevelOf(frame, row);
  if (level === null) return "---";
  const rounded = Math.round(level);
  return rounded < 0 ? `-${String(-rounded).padStart(2, "0")}` : String(rounded).padStart(3, "0");
}

/** `^` climbing, `v` descending, `=` level, a blank when not known. */
export function tendency(frame: Frame, row: number): string {
  const climb = climbOf(frame, row);
  if (climb === null) return " ";
  return climb > LEVEL_FLIGHT ? "^" : climb < -LEVEL_FLIGHT ? "v" : "=";
}

const FIRST_FOREIGN = 32768; // track numbers from here on are of tracks that only partners have

/** What a track without callsign is called: its number here, or the joint one where only partners have it. */
function numberText(frame: Frame, row: number, name: TrackName | undefined): string {
  const number = frame.number[row];
  return number < FIRST_FOREIGN ? trackLabel(number) : (name?.joint ?? trackLabel(number));
}

/** First line: callsign or track number; `~` says coasting, `SIM` simulated. */
export function firstLine(frame: Frame, row: number, name: TrackName | undefined): string {
  const flags = (isCoasting(frame, row) ? "~" : "") + (isSimulated(frame, row) ? " SIM" : "");
  return (name?.callsign ?? numberText(frame, row, name)) + flags;
}

/** Second line: flight level (`*` says that the height is geometric), tendency, ground speed in tens of knots. */
export function secondLine(frame: Frame, row: number): string {
  const geometric = frame.flags[row] & GEOMETRIC_ALTITUDE ? "*" : "";
  const speed = String(Math.round(knotsOf(frame, row) / 10)).padStart(2, "0");
  return `${levelText(frame, row)}${geometric}${tendency(frame, row)}${speed}`;
}

/** Third line, of the selected track: Mode 3/A code and Mode S address. */
export function thirdLine(frame: Frame, row: number, name: TrackName | undefined): string {
  return `${squawkOf(frame, row) ?? "----"} ${name?.address ?? "------"}`;
}
