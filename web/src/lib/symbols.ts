/** Symbols as an atlas: APP-6 frames (shape says identity), one cell for each state of a track. */

export type TrackState = "solid" | "single" | "coasting" | "old" | "emergency";
/** The same of simulated tracks: in another colour, with a cross instead of a dot. */
export type SymbolState = TrackState | `simulated ${TrackState}`;

const TRACK_STATES: TrackState[] = ["solid", "single", "coasting", "old", "emergency"];
const STATES: SymbolState[] = [...TRACK_STATES, ...TRACK_STATES.map((state) => `simulated ${state}` as const)];
const CELL = 64; // pixels
const SYMBOL_BOX = 158; // width of the widest frame, in milsymbol's units
const MIDDLE_X = 100; // of a frame, in milsymbol's units
const MIDDLE_Y = 96;

const UNKNOWN = "#FFE873";
const STALE = "#7C8A99";
const ALARM = "#FF4D4D";
const EXERCISE = "#DC9BFF";
const LAND = "#0B1118";

// An unknown air track; the frame of this identity is all that is drawn.
const UNKNOWN_AIR = "SUAP-----------";

export interface SymbolAtlas {
  image: ImageData;
  mapping: Record<SymbolState, { x: number; y: number; width: number; height: number; mask: boolean }>;
}

/** Height of a symbol on the map, pixels. */
export const SYMBOL_SIZE = 22;

/** The atlas; milsymbol is loaded with it, apart from the page's own script. */
export async function makeAtlas(): Promise<SymbolAtlas> {
  const { default: milsymbol } = await import("milsymbol");
  const svg = new milsymbol.Symbol(UNKNOWN_AIR).asSVG();
  const outline = /<path d="([^"]+)"/.exec(svg)?.[1];
  if (!outline) throw new Error("milsymbol gave no frame");
  return drawAtlas(new Path2D(outline));
}

function drawAtlas(frame: Path2D): SymbolAtlas {
  const canvas = new OffscreenCanvas(CELL * STATES.length, CELL);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no 2D canvas");
  const mapping = {} as SymbolAtlas["mapping"];
  STATES.forEach((state, index) => {
    context.save();
    context.translate(CELL * (index + 0.5), CELL / 2);
    const scale = (CELL - 6) / SYMBOL_BOX;
    context.scale(scale, scale);
    context.translate(-MIDDLE_X, -MIDDLE_Y);
    drawState(context, frame, state);
    context.restore();
    mapping[state] = { x: CELL * index, y: 0, width: CELL, height: CELL, mask: false };
  });
  return { image: context.getImageData(0, 0, canvas.width, canvas.height), mapping };
}

/** Filled: several sensors; hollow: one sensor; dashed: coasting; grey and dashed: coasting for long. */
function drawState(context: OffscreenCanvasRenderingContext2D, frame: Path2D, symbol: SymbolState): void {
  const isSimulated = symbol.startsWith("simulated ");
  const state = symbol.replace("simulated ", "") as TrackState;
  const live = state === "emergency" ? ALARM : state === "old" ? STALE : UNKNOWN;
  const colour = isSimulated ? EXERCISE : live;
  context.lineJoin = "round";
  context.strokeStyle = LAND;
  context.lineWidth = 20;
  context.stroke(frame);
  context.globalAlpha = state === "solid" ? 0.28 : state === "emergency" ? 0.8 : 0;
  context.fillStyle = colour;
  context.fill(frame);
  context.globalAlpha = 1;
  context.strokeStyle = colour;
  context.lineWidth = state === "emergency" ? 14 : 10;
  if (state === "coasting" || state === "old") context.setLineDash([24, 18]);
  context.stroke(frame);
  context.setLineDash([]);
  context.fillStyle = colour;
  context.beginPath();
  if (isSimulated) {
    context.moveTo(MIDDLE_X - 22, MIDDLE_Y - 22);
    context.lineTo(MIDDLE_X + 22, MIDDLE_Y + 22);
    context.moveTo(MIDDLE_X + 22, MIDDLE_Y - 22);
    context.lineTo(MIDDLE_X - 22, MIDDLE_Y + 22);
    context.stroke();
  } else {
    context.arc(MIDDLE_X, MIDDLE_Y, 9, 0, 2 * Math.PI);
    context.fill();
  }
}
