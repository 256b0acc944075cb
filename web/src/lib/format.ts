/** Numbers and times as the page writes them. */

/** `HH:MM:SSZ` of UTC seconds since 1970. */
export const clockText = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(11, 19) + "Z";

/** `YYYY-MM-DD HH:MM:SSZ` of UTC seconds since 1970. */
export const dateText = (seconds: number): string =>
  new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ") + "Z";

/** `MM:SS`, or `H:MM:SS` from an hour on. */
export function durationText(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

export const countText = (count: number): string => count.toLocaleString("en-GB");

/** A share as whole percent; a dash when it is not known. */
export const shareText = (share: number | null): string => (share === null ? "–" : `${Math.round(share * 100)} %`);

/** `N 41°23.0′`, degrees and minutes as on aeronautical charts. */
export function angleText(degrees: number, positive: string, negative: string, width: number): string {
  const minutes = Math.round(Math.abs(degrees) * 600) / 10;
  const whole = String(Math.floor(minutes / 60)).padStart(width, "0");
  const rest = (minutes % 60).toFixed(1).padStart(4, "0");
  return `${degrees < 0 ? negative : positive} ${whole}°${rest}′`;
}

export const positionText = (latitude: number, longitude: number): string =>
  `${angleText(latitude, "N", "S", 2)}  ${angleText(longitude, "E", "W", 3)}`;

export const cursorText = (cursor: { latitude: number; longitude: number } | null): string =>
  cursor ? positionText(cursor.latitude, cursor.longitude) : "";

/** Degrees clockwise from true north, three digits. */
export const courseText = (degrees: number): string => `${String(Math.round(degrees) % 360).padStart(3, "0")}° true`;

/** Metres below 1 km, else kilometres. */
export const lengthText = (metres: number): string =>
  metres < 1000 ? `${Math.round(metres)} m` : `${(metres / 1000).toFixed(1)} km`;
