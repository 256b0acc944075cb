import { describe, expect, test } from "vitest";
import { exerciseText, modeText, theirReason, troubleText } from "./partners";
import type { PartnerState } from "./stream";

const bravo: PartnerState = {
  name: "BRAVO",
  link: "up",
  since: null,
  we_give: "plots",
  we_give_why: "",
  they_give: "plots",
  suspended: null,
  suspends_us: null,
  mode: "live",
  exercise: "",
  their_exercise: "",
  tracks: 0,
  report_age: null,
  commonality: null,
};
const agreed: PartnerState = { ...bravo, mode: "exercise", exercise: "EAST-1", their_exercise: "EAST-1" };

describe("exercises", () => {
  test("are said with their name and with whom they are on, or for whom they wait", () => {
    expect(exerciseText([])).toBe("");
    expect(exerciseText([bravo])).toBe("");
    expect(exerciseText([{ ...bravo, their_exercise: "EAST-1" }])).toBe("");
    expect(exerciseText([{ ...bravo, exercise: "EAST-1" }])).toBe("EXERCISE EAST-1 · waiting for BRAVO");
    const charlie = { ...bravo, name: "CHARLIE", exercise: "EAST-1" };
    expect(exerciseText([agreed, charlie])).toBe("EXERCISE EAST-1 · on with BRAVO, waiting for CHARLIE");
    expect(exerciseText([{ ...agreed, link: "down" }])).toBe("EXERCISE EAST-1 · on with BRAVO (link down)");
  });

  test("are said of each partner", () => {
    expect(modeText(bravo)).toBe("live");
    expect(modeText({ ...bravo, exercise: "EAST-1" })).toBe("live; it has not begun EAST-1");
    expect(modeText({ ...bravo, their_exercise: "EAST-1" })).toBe("live; it began EAST-1");
    expect(modeText(agreed)).toBe("EXERCISE EAST-1");
  });
});

describe("troubles", () => {
  test("are cuts and suspensions on either side, with the reason that is given", () => {
    expect([troubleText(bravo), theirReason(bravo)]).toEqual(["", ""]);
    const down: PartnerState = { ...bravo, link: "down", suspended: "by order" };
    expect(troubleText(down)).toBe("BRAVO LINK DOWN · BRAVO SUSPENDED BY US");
    expect(theirReason(down)).toBe("nothing heard from it");
    const stopped: PartnerState = { ...bravo, they_give: "alone", suspends_us: "" };
    expect(troubleText(stopped)).toBe("SUSPENDED BY BRAVO");
    expect(theirReason(stopped)).toBe("suspended by it; it gives no reason");
    expect(theirReason({ ...stopped, suspends_us: "talks broke off" })).toBe("suspended by it: talks broke off");
  });
});
