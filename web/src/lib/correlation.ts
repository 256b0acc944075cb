/** Words about what people said of pairs of tracks. */
import type { TrackWord } from "./stream";

/** What was said of a track, by its number in this centre, as its detail shows it. */
export function wordText(word: TrackWord, number: number): string {
  const place = word.numbers[0] === number ? 1 : 0;
  const isOneTrack = word.numbers[0] === word.numbers[1];
  const other = isOneTrack ? "" : word.joints[place] || "a track that is not here";
  if (!word.binds) {
    const about = other === "" ? "" : ` with ${other}`;
    return `${word.centre} proposes: ${word.is_one ? "one aircraft" : "two aircraft"}${about} (${word.by}: ${word.reason})`;
  }
  if (word.is_one) return `Correlated by hand by ${word.by}${other && ` with ${other}`}: ${word.reason}`;
  return `Kept apart by hand by ${word.by}${other && ` from ${other}`}: ${word.reason}`;
}

export const wordsOf = (words: TrackWord[], number: number): TrackWord[] =>
  words.filter((word) => word.numbers.includes(number));
