/** The page's keys: one table for what they do and for the help that lists them. */
import type { App } from "./app.svelte";
import type { TableOrder } from "./tableorder.svelte";

interface Binding {
  keys: string[];
  shown: string;
  does: string;
  run(app: App, order: TableOrder): void;
}

const pan = (right: number, down: number) => (app: App) => {
  app.isFollowing = false;
  app.map?.pan(right, down);
};

export const BINDINGS: Binding[] = [
  { keys: ["/"], shown: "/", does: "find a track", run: () => document.getElementById("search")?.focus() },
  { keys: ["j"], shown: "J", does: "next track of the table", run: (app, order) => step(app, order, 1) },
  { keys: ["k"], shown: "K", does: "previous track", run: (app, order) => step(app, order, -1) },
  {
    keys: ["c"],
    shown: "C",
    does: "centre on the selected track",
    run: (app) => app.selected !== null && app.centreOn(app.selected),
  },
  { keys: ["f"], shown: "F", does: "follow the selected track", run: (app) => app.toggleFollow() },
  { keys: ["l"], shown: "L", does: "labels: full, short, none", run: (app) => app.nextLabelMode() },
  { keys: ["v"], shown: "V", does: "speed vector: 0, 1, 2, 5 min", run: (app) => app.nextVector() },
  { keys: ["h"], shown: "H", does: "history dots on, off", run: (app) => app.toggleTrails() },
  { keys: ["b"], shown: "B", does: "back from a partner's view to our picture", run: (app) => app.viewAs(null) },
  { keys: ["+", "="], shown: "+", does: "zoom in", run: (app) => app.map?.zoomBy(0.5) },
  { keys: ["-"], shown: "−", does: "zoom out", run: (app) => app.map?.zoomBy(-0.5) },
  { keys: ["ArrowLeft"], shown: "←", does: "move the view left", run: pan(-1, 0) },
  { keys: ["ArrowRight"], shown: "→", does: "right", run: pan(1, 0) },
  { keys: ["ArrowUp"], shown: "↑", does: "up", run: pan(0, -1) },
  { keys: ["ArrowDown"], shown: "↓", does: "down", run: pan(0, 1) },
  { keys: ["?"], shown: "?", does: "these keys", run: (app) => (app.isHelpOpen = !app.isHelpOpen) },
  { keys: ["Escape"], shown: "Esc", does: "back: close help, leave a field, deselect, leave a partner's view", run: goBack },
];

/** Do what the key is bound to; keys are the field's own while somebody types. */
export function handleKey(event: KeyboardEvent, app: App, order: TableOrder): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const focused = document.activeElement;
  if (focused instanceof HTMLInputElement && focused.type !== "checkbox") {
    if (event.key === "Escape") focused.blur();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const binding = BINDINGS.find((entry) => entry.keys.includes(key));
  if (!binding) return;
  event.preventDefault();
  binding.run(app, order);
}

function step(app: App, order: TableOrder, by: number): void {
  app.selectNext(order.numbers(), by);
}

function goBack(app: App): void {
  if (app.isHelpOpen) app.isHelpOpen = false;
  else if (app.selected !== null) app.select(null);
  else app.viewAs(null);
}
