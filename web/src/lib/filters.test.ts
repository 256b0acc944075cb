import { describe, expect, test } from "vitest";
import { filterWords, fromHash, noFilters, toHash } from "./filters";

const camera = { longitude: 4.25, latitude: 55.5, zoom: 6.5 };

describe("the page's address", () => {
  test("restores view, filters and selection", () => {
    const filters = { lowest: 100, highest: 350, showCoasting: false, text: "skp&=#" };
    const hash = toHash(camera, filters, 17);
    expect(fromHash(hash)).toEqual({ camera, filters, selected: 17 });
  });

  test("says nothing of filters that are not set", () => {
    expect(toHash(camera, noFilters(), null)).toBe("#at=55.5000/4.2500/6.50");
  });

  test("that makes no sense is as none", () => {
    for (const hash of ["", "#", "#at=x/y/z", "#at=99/999/99&fl=9999-1&track=-3", "#fl=&track=1.5"]) {
      expect(fromHash(hash)).toEqual({ camera: null, filters: noFilters(), selected: null });
    }
  });

  test("with a band upside down still shows something", () => {
    const { filters } = fromHash("#fl=300-100");
    expect(filters.highest).toBeGreaterThanOrEqual(filters.lowest);
  });
});

describe("the words for filters", () => {
  test("name each filter in force", () => {
    expect(filterWords(noFilters())).toEqual([]);
    expect(filterWords({ lowest: 50, highest: 660, showCoasting: false, text: "AB" })).toEqual([
      "FL 050–660",
      "no coasting",
      "“AB”",
    ]);
  });
});
