/** What the crew chose to see, and its form in the page's address. */
import { ageOf, flightLevelOf, isCoasting, squawkOf, type Frame } from "./frame";
import type { PictureStore } from "./picture";

export const LEVEL_LOWEST = 0;
export const LEVEL_HIGHEST = 660;

export interface Filters {
  /** Flight levels. */
  lowest: number;
  highest: number;
  showCoasting: boolean;
  /** Part of callsign, track number, squawk or address. */
  text: string;
}

export interface Camera {
  longitude: number;
  latitude: number;
  zoom: number;
}

export const noFilters = (): Filters => ({
  lowest: LEVEL_LOWEST,
  highest: LEVEL_HIGHEST,
  showCoasting: true,
  text: "",
});

export const hasBand = (filters: Filters): boolean =>
  filters.lowest > LEVEL_LOWEST || filters.highest < LEVEL_HIGHEST;

/** The filters in force, in words; empty when all tracks are shown. */
export function filterWords(filters: Filters): string[] {
  const words: string[] = [];
  const level = (value: number) => String(value).padStart(3, "0");
  if (hasBand(filters)) words.push(`FL ${level(filters.lowest)}–${level(filters.highest)}`);
  if (!filters.showCoasting) words.push("no coasting");
  if (filters.text) words.push(`“${filters.text}”`);
  return words;
}

export const trackLabel = (number: number): string => "T" + String(number).padStart(4, "0");

/** Whether the track at `row` has `text` (upper case) in one of its names. */
export function matchesText(store: PictureStore, frame: Frame, row: number, text: string): boolean {
  const number = frame.number[row];
  const name = store.names.get(number);
  return (
    (name?.callsign?.includes(text) ?? false) ||
    (name?.address?.includes(text) ?? false) ||
    (name?.joint?.includes(text) ?? false) ||
    trackLabel(number).includes(text) ||
    (squawkOf(frame, row)?.includes(text) ?? false)
  );
}

/** Rows to show; the row of the selected track is always among them. */
export function visibleRows(store: PictureStore, filters: Filters, selected: number | null): Uint32Array {
  const frame = store.frame;
  if (!frame) return new Uint32Array(0);
  const band = hasBand(filters);
  const text = filters.text.trim().toUpperCase();
  const rows = new Uint32Array(frame.count);
  let count = 0;
  for (let row = 0; row < frame.count; row++) {
    if (frame.number[row] !== selected && !isEmergency(frame, row)) {
      if (!filters.showCoasting && isCoasting(frame, row)) continue;
      if (text && !matchesText(store, frame, row, text)) continue;
      if (band) {
        // A track without a height is shown: hiding what is not known would be a guess.
        const level = flightLevelOf(frame, row);
        if (level !== null && (level < filters.lowest || level > filters.highest)) continue;
      }
    }
    rows[count++] = row;
  }
  return rows.subarray(0, count);
}

const EMERGENCY_CODES = new Set([0o7500, 0o7600, 0o7700]);

/** Whether the track squawks one of the three emergency codes. */
export const isEmergency = (frame: Frame, row: number): boolean => EMERGENCY_CODES.has(frame.squawk[row]);

const AGED = 15; // s; more than a turn of a slow radar
const OLD = 30;

/** Whether a track is predicted since longer than a radar turns, as when a partner's link is cut. */
export const isAged = (frame: Frame, row: number): boolean => ageOf(frame, row) > AGED;

/** Whether a track has gone long without a plot: it is then drawn grey. */
export const isOld = (frame: Frame, row: number): boolean => ageOf(frame, row) > OLD;

/** The page's address for a view and its filters. */
export function toHash(camera: Camera, filters: Filters, selected: number | null): string {
  const parameters = new URLSearchParams();
  const at = [camera.latitude.toFixed(4), camera.longitude.toFixed(4), camera.zoom.toFixed(2)];
  parameters.set("at", at.join("/"));
  if (hasBand(filters)) parameters.set("fl", `${filters.lowest}-${filters.highest}`);
  if (!filters.showCoasting) parameters.set("coasting", "0");
  if (filters.text) parameters.set("text", filters.text);
  if (selected !== null) parameters.set("track", String(selected));
  return "#" + parameters.toString().replaceAll("%2F", "/");
}

export interface RestoredView {
  camera: Camera | null;
  filters: Filters;
  selected: number | null;
}

/** What an address says; what it does not say, or says wrongly, is as at first. */
export function fromHash(hash: string): RestoredView {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const filters = noFilters();
  const band = /^(\d{1,3})-(\d{1,3})$/.exec(parameters.get("fl") ?? "");
  if (band) {
    filters.lowest = Math.min(Number(band[1]), LEVEL_HIGHEST);
    filters.highest = Math.min(Math.max(Number(band[2]), filters.lowest), LEVEL_HIGHEST);
  }
  filters.showCoasting = parameters.get("coasting") !== "0";
  filters.text = (parameters.get("text") ?? "").slice(0, 16);
  const [latitude, longitude, zoom] = (parameters.get("at") ?? "").split("/").map(Number);
  const isView = Math.abs(latitude) <= 85 && Math.abs(longitude) <= 360 && zoom >= 0 && zoom <= 18;
  const track = Number(parameters.get("track") ?? NaN);
  return {
    camera: isView ? { longitude, latitude, zoom } : null,
    filters,
    selected: Number.isInteger(track) && track > 0 ? track : null,
  };
}
