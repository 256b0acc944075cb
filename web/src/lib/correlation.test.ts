import { describe, expect, test } from "vitest";
import { wordText, wordsOf } from "./correlation";
import type { TrackWord } from "./stream";

const word: TrackWord = {
  numbers: [17, 40000],
  joints: ["ALPHA-00017", "BRAVO-00004"],
  is_one: false,
  binds: true,
  centre: "ALPHA",
  by: "Kim",
  reason: "seen as two",
  said: 0,
};

describe("what people said of tracks", () => {
  test("names the other track, from either side", () => {
    expect(wordText(word, 17)).toBe("Kept apart by hand by Kim from BRAVO-00004: seen as two");
    expect(wordText(word, 40000)).toBe("Kept apart by hand by Kim from ALPHA-00017: seen as two");
    expect(wordText({ ...word, numbers: [17, 0], joints: ["ALPHA-00017", ""] }, 17)).toContain("not here");
  });
  test("of one track names no other", () => {
    const one = { ...word, is_one: true, numbers: [17, 17] as [number, number] };
    expect(wordText(one, 17)).toBe("Correlated by hand by Kim: seen as two");
  });
  test("of a partner is a proposal", () => {
    const theirs = { ...word, binds: false, centre: "BRAVO" };
    expect(wordText(theirs, 17)).toBe("BRAVO proposes: two aircraft with BRAVO-00004 (Kim: seen as two)");
  });
  test("stands with its tracks alone", () => {
    expect(wordsOf([word], 17)).toEqual([word]);
    expect(wordsOf([word], 18)).toEqual([]);
  });
});
