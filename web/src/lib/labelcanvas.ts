/** Draws labels, leader lines and the mark of the selected track on a canvas above the map. */
import { firstLine, secondLine, thirdLine } from "./labeltext";
import { isAged, isEmergency, isOld } from "./filters";
import { isSimulated, latitudeOf, longitudeOf } from "./frame";
import { LabelPlacer, MUST_SHOW, SYMBOL_RADIUS, type LabelRequest, type PlacedLabel } from "./labels";
import { pixelX, pixelY, projectionOf, type View } from "./mercator";
import type { PictureStore } from "./picture";

const FONT = "11px 'B612 Mono', 'IBM Plex Mono', monospace";
const LINE = 13; // pixels
const PADDING = 2;
const MARGIN = 12; // pixels outside the view within which a symbol still counts as seen

const TEXT = "#E6EDF3";
const STALE = "#7C8A99";
const SELECTED = "#FFFFFF";
const ALARM = "#B3261E";
const EXERCISE = "#DC9BFF";
const EXERCISE_DARK = "#5B2A75";
const LEADER = "#5B6B7B";
const SECOND = "#B4C2CF";
const PANEL = "rgba(27, 36, 48, 0.92)";
const HALO = "rgba(11, 17, 24, 0.85)";

export type LabelMode = "full" | "short" | "none";

export class LabelCanvas {
  placed: PlacedLabel[] = [];
  /** Symbols in view. */
  inView = 0;
  private placer = new LabelPlacer();
  private context: CanvasRenderingContext2D;
  private character = 6.6; // pixels; measured once the font is there

  constructor(private canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("no 2D canvas");
    this.context = context;
    void document.fonts.load(FONT).then(() => this.measure());
  }

  private measure(): void {
    this.context.font = FONT;
    this.character = this.context.measureText("0000000000").width / 10;
  }

  /** Place the labels anew for what is in view. */
  place(store: PictureStore, rows: Uint32Array, view: View, mode: LabelMode, selected: number, hovered: number): void {
    const frame = store.frame;
    if (!frame) {
      this.placed = [];
      this.inView = 0;
      return;
    }
    const projection = projectionOf(view);
    const requests: LabelRequest[] = [];
    this.inView = 0;
    for (const row of rows) {
      const x = pixelX(projection, view, longitudeOf(frame, row));
      const y = pixelY(projection, latitudeOf(frame, row));
      if (x < -MARGIN || y < -MARGIN || x > view.width + MARGIN || y > view.height + MARGIN) continue;
      this.inView++;
      const id = frame.number[row];
      const priority = id === selected ? 300 : isEmergency(frame, row) ? 200 : id === hovered ? MUST_SHOW : 10;
      if (mode === "none" && priority < MUST_SHOW) continue;
      const name = store.names.get(id);
      const first = firstLine(frame, row, name).length;
      const isShort = mode === "short" && id !== selected;
      const lines = isShort ? 1 : id === selected ? 3 : 2;
      const longest = isShort ? first : Math.max(first, id === selected || isAged(frame, row) ? 11 : 7);
      const width = longest * this.character + 2 * PADDING;
      const shortWidth = lines > 1 && id !== selected ? first * this.character + 2 * PADDING : 0;
      requests.push({
        id,
        x,
        y,
        width,
        height: lines * LINE + PADDING,
        shortWidth,
        shortHeight: shortWidth > 0 ? LINE + PADDING : 0,
        priority,
      });
    }
    this.placed = this.placer.place(requests, view.width, view.height, performance.now(), selected);
  }

  /** Draw what was placed, moved along with its symbols when the view moved since. */
  draw(store: PictureStore, view: View, mode: LabelMode, selected: number): void {
    const ratio = window.devicePixelRatio;
    if (this.canvas.width !== Math.round(view.width * ratio) || this.canvas.height !== Math.round(view.height * ratio)) {
      this.canvas.width = Math.round(view.width * ratio);
      this.canvas.height = Math.round(view.height * ratio);
    }
    const context = this.context;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    const frame = store.frame;
    if (!frame) return;
    const projection = projectionOf(view);
    context.font = FONT;
    context.textBaseline = "top";
    context.lineJoin = "round";
    for (const label of this.placed) {
      const row = store.rowOf(label.id);
      if (row < 0) continue;
      const dx = pixelX(projection, view, longitudeOf(frame, row)) - label.x;
      const dy = pixelY(projection, latitudeOf(frame, row)) - label.y;
      const left = Math.round(label.left + dx);
      const top = Math.round(label.top + dy);
      this.drawLeader(label, dx, dy);
      const name = store.names.get(label.id);
      const lines = [firstLine(frame, row, name)];
      if (!label.isShort && (mode !== "short" || label.id === selected)) lines.push(secondLine(frame, row, name));
      if (label.id === selected) lines.push(thirdLine(frame, row, name));
      // An emergency of an exercise never looks like a live one.
      const alarm = isSimulated(frame, row) ? EXERCISE_DARK : ALARM;
      if (isEmergency(frame, row) || label.id === selected) {
        context.fillStyle = isEmergency(frame, row) ? alarm : PANEL;
        context.fillRect(left, top, label.width, label.height);
      }
      const stands = label.id === selected || isEmergency(frame, row);
      context.strokeStyle = stands && label.id !== selected ? alarm : HALO;
      context.lineWidth = 3;
      lines.forEach((text, line) => {
        const first = isSimulated(frame, row) ? EXERCISE : isOld(frame, row) ? STALE : TEXT;
        context.fillStyle = stands ? SELECTED : line === 0 ? first : isOld(frame, row) ? STALE : SECOND;
        context.strokeText(text, left + PADDING, top + PADDING + line * LINE);
        context.fillText(text, left + PADDING, top + PADDING + line * LINE);
      });
    }
    this.drawSelection(store, view, selected);
  }

  private drawLeader(label: PlacedLabel, dx: number, dy: number): void {
    const x = label.x + dx;
    const y = label.y + dy;
    const endX = Math.min(Math.max(x, label.left + dx), label.left + dx + label.width);
    const endY = Math.min(Math.max(y, label.top + dy), label.top + dy + label.height);
    const length = Math.hypot(endX - x, endY - y);
    if (length <= SYMBOL_RADIUS) return;
    const start = SYMBOL_RADIUS / length;
    this.context.strokeStyle = LEADER;
    this.context.lineWidth = 1;
    this.context.beginPath();
    this.context.moveTo(x + (endX - x) * start, y + (endY - y) * start);
    this.context.lineTo(endX, endY);
    this.context.stroke();
  }

  /** Corner marks around the selected symbol. */
  private drawSelection(store: PictureStore, view: View, selected: number): void {
    const row = store.rowOf(selected);
    if (!store.frame || row < 0) return;
    const projection = projectionOf(view);
    const x = pixelX(projection, view, longitudeOf(store.frame, row));
    const y = pixelY(projection, latitudeOf(store.frame, row));
    const context = this.context;
    context.strokeStyle = SELECTED;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const [sx, sy] of [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ]) {
      context.moveTo(x + sx * 16, y + sy * 10);
      context.lineTo(x + sx * 16, y + sy * 16);
      context.lineTo(x + sx * 10, y + sy * 16);
    }
    context.stroke();
  }
}
