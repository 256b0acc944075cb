/** Words about partners: links, rungs, and what is wrong with them. */
import type { PartnerState } from "./stream";

// The shape says the state too, for eyes that do not tell the colours apart.
export const LINK_SHAPES: Record<PartnerState["link"], string> = { up: "●", late: "◐", down: "○" };

/** What a crew must not miss about a partner; empty when all is well. */
export function troubleText(partner: PartnerState): string {
  const words: string[] = [];
  if (partner.link !== "up") words.push(`${partner.name} LINK ${partner.link.toUpperCase()}`);
  if (partner.suspended !== null) words.push(`${partner.name} SUSPENDED BY US`);
  if (partner.suspends_us !== null) words.push(`SUSPENDED BY ${partner.name}`);
  return words.join(" · ");
}

/** Why a partner gives no more than it does, as far as we know; empty when it gives all. */
export function theirReason(partner: PartnerState): string {
  if (partner.link === "down") return "nothing heard from it";
  if (partner.suspends_us === null) return "";
  return partner.suspends_us === "" ? "suspended by it; it gives no reason" : `suspended by it: ${partner.suspends_us}`;
}

/** What a crew must not miss while an exercise is on here, or agreed to here alone; empty when there is none. */
export function exerciseText(partners: PartnerState[]): string {
  const name = partners[0]?.exercise ?? "";
  if (name === "") return "";
  const isOn = (partner: PartnerState): boolean => partner.mode === "exercise";
  const parts = [
    listed("on with", partners.filter(isOn).map((one) => one.name + (one.link === "down" ? " (link down)" : ""))),
    listed("waiting for", partners.filter((one) => !isOn(one)).map((one) => one.name)),
  ];
  return `EXERCISE ${name} · ${parts.filter((part) => part !== "").join(", ")}`;
}

/** Whether live or exercise data pass to and from a partner, and what people on the two sides agreed to. */
export function modeText(partner: PartnerState): string {
  if (partner.mode === "exercise") return `EXERCISE ${partner.exercise}`;
  if (partner.their_exercise !== "") return `live; it began ${partner.their_exercise}`;
  return partner.exercise === "" ? "live" : `live; it has not begun ${partner.exercise}`;
}

const listed = (word: string, names: string[]): string => (names.length ? `${word} ${names.join(", ")}` : "");

/** A share as a whole percentage. */
export const percent = (share: number): string => `${Math.floor(share * 100)} %`;
