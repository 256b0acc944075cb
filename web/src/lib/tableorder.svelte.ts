/** The order of the track table, which is also that of the keys for the next and the previous track. */
import type { App } from "./app.svelte";
import { flightLevelOf, speedOf, squawkOf, ageOf } from "./frame";

export type Column = "number" | "callsign" | "squawk" | "level" | "speed" | "age";

export class TableOrder {
  column = $state<Column>("number");
  isRising = $state(true);

  constructor(private app: App) {}

  /** Rows of the frame in the order of the table. */
  rows = $derived.by(() => this.sorted(this.app.tick));

  sortBy(column: Column): void {
    this.isRising = this.column === column ? !this.isRising : true;
    this.column = column;
  }

  numbers(): number[] {
    const frame = this.app.store.frame;
    return frame ? Array.from(this.rows, (row) => frame.number[row]) : [];
  }

  private sorted(_tick: number): Uint32Array {
    const frame = this.app.store.frame;
    const rows = this.app.rows.slice();
    if (!frame) return rows;
    // The picture is by track number already.
    if (this.column === "number") return this.isRising ? rows : rows.reverse();
    const sign = this.isRising ? 1 : -1;
    const names = this.app.store.names;
    const byNumber = (a: number, b: number) => frame.number[a] - frame.number[b];
    if (this.column === "callsign" || this.column === "squawk") {
      const text = (row: number): string =>
        (this.column === "squawk" ? squawkOf(frame, row) : names.get(frame.number[row])?.callsign) ?? "\uffff";
      const texts = new Map(Array.from(rows, (row) => [row, text(row)]));
      return rows.sort((a, b) => {
        const [left, right] = [texts.get(a) ?? "", texts.get(b) ?? ""];
        return left === right ? byNumber(a, b) : left < right ? -sign : sign;
      });
    }
    const value = (row: number): number => {
      if (this.column === "level") return flightLevelOf(frame, row) ?? Infinity * sign;
      if (this.column === "speed") return speedOf(frame, row) ?? Infinity * sign;
      return ageOf(frame, row);
    };
    return rows.sort((a, b) => sign * (value(a) - value(b)) || byNumber(a, b));
  }
}
