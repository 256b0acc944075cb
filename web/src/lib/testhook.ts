/** `window.__app`: what tests and support read of the page; it changes nothing. */
import type { App } from "./app.svelte";
import { filterWords } from "./filters";
import { flightLevelOf, headingOf, isCoasting, isSimulated, latitudeOf, longitudeOf, speedOf } from "./frame";

export function exposeForTests(app: App): void {
  const hook = {
    tracks: () => {
      const frame = app.store.frame;
      if (!frame) return [];
      return Array.from(app.rows, (row) => ({
        number: frame.number[row],
        joint: app.store.names.get(frame.number[row])?.joint ?? null,
        callsign: app.store.names.get(frame.number[row])?.callsign ?? null,
        longitude: longitudeOf(frame, row),
        latitude: latitudeOf(frame, row),
        heading: headingOf(frame, row),
        speed: speedOf(frame, row),
        level: flightLevelOf(frame, row),
        coasting: isCoasting(frame, row),
        simulated: isSimulated(frame, row),
      }));
    },
    labels: () => app.map?.labels.placed.map((label) => ({ ...label })) ?? [],
    selected: () => app.selected,
    view: () => app.viewing && { ...app.view, viewing: app.viewing },
    screenPos: (number: number) => app.map?.screenPosition(number) ?? null,
    frameStats: () => ({ count: app.updates, updates: app.timings.map((timing) => ({ ...timing })) }),
    status: () => ({
      liveness: app.liveness,
      silence: app.silence,
      sequence: app.sequence,
      count: app.trackCount,
      shown: app.rows.length,
      labelsShown: app.labelsShown,
      labelsWanted: app.labelsWanted,
      graphics: app.graphics,
      filters: filterWords(app.filters),
      hasMap: app.map?.isReady ?? false,
    }),
    land: () => app.map?.landShown() ?? 0,
    camera: () => app.map?.camera() ?? null,
  };
  Object.defineProperty(window, "__app", { value: Object.freeze(hook) });
}
