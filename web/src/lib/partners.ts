/** Words about partners: links, rungs, and what is wrong with them. */
import type { PartnerState } from "./stream";

// The shape says the state too, for eyes that do not tell the colours apart.
export const LINK_SHAPES: Record<PartnerState["link"], string> = { up: "●", late: "◐", down: "○" };

/** What a crew must not miss about a partner; empty when all is well. */
export function troubleText(partner: PartnerState): string {
  if (partner.link === "down") return `${partner.name} LINK DOWN`;
  if (partner.suspended !== null) return `${partner.name} SUSPENDED`;
  if (partner.link === "late") return `${partner.name} LINK LATE`;
  return "";
}

/** A share as a whole percentage. */
export const percent = (share: number): string => `${Math.floor(share * 100)} %`;
