/** The tracks as deck.gl layers fed with typed arrays: trails, speed vectors and symbols. */
import type { Layer } from "@deck.gl/core";
import { IconLayer, LineLayer, ScatterplotLayer } from "@deck.gl/layers";
import { isAged, isEmergency, isOld } from "./filters";
import { COASTING, SINGLE_SENSOR, headingOf, isSimulated, latitudeOf, longitudeOf, speedOf, type Frame } from "./frame";
import { TRAIL_DOTS, type PictureStore } from "./picture";
import { SYMBOL_SIZE, type SymbolAtlas, type SymbolState, type TrackState } from "./symbols";

const METRES_PER_DEGREE = 111_195; // of latitude, mean
const UNKNOWN: [number, number, number] = [255, 232, 115];
const EXERCISE: [number, number, number] = [220, 155, 255];

export interface LayerChoice {
  vectorMinutes: number;
  showTrails: boolean;
}

const stateOf = (frame: Frame, row: number): SymbolState =>
  isSimulated(frame, row) ? `simulated ${trackStateOf(frame, row)}` : trackStateOf(frame, row);

const trackStateOf = (frame: Frame, row: number): TrackState => {
  if (isEmergency(frame, row)) return "emergency";
  if (isOld(frame, row)) return "old";
  const flags = frame.flags[row];
  if (flags & COASTING || isAged(frame, row)) return "coasting";
  return flags & SINGLE_SENSOR ? "single" : "solid";
};

interface TrailData {
  length: number;
  attributes: Record<string, { value: Float64Array | Uint8Array; size: number; normalized?: boolean }>;
}

export class TrackLayers {
  private trailVersion = -1;
  private trailNumbers = new Uint32Array(0);
  private trails: TrailData = { length: 0, attributes: {} };

  make(store: PictureStore, rows: Uint32Array, choice: LayerChoice, atlas: SymbolAtlas | null): Layer[] {
    const frame = store.frame;
    if (!frame) return [];
    const positions = new Float64Array(rows.length * 2);
    rows.forEach((row, index) => {
      positions[2 * index] = longitudeOf(frame, row);
      positions[2 * index + 1] = latitudeOf(frame, row);
    });
    const layers: Layer[] = [];
    if (choice.showTrails) layers.push(this.trailLayer(store, frame, rows));
    if (choice.vectorMinutes > 0) layers.push(vectorLayer(frame, rows, positions, choice.vectorMinutes));
    layers.push(atlas ? symbolLayer(frame, rows, positions, atlas) : dotLayer(rows, positions));
    return layers;
  }

  /** Trails change seldom: as long as they do not, deck.gl gets the same data and sends nothing again. */
  private trailLayer(store: PictureStore, frame: Frame, rows: Uint32Array): Layer {
    const isSame =
      store.trailVersion === this.trailVersion &&
      rows.length === this.trailNumbers.length &&
      rows.every((row, index) => frame.number[row] === this.trailNumbers[index]);
    if (!isSame) {
      this.trailVersion = store.trailVersion;
      this.trailNumbers = rows.map((row) => frame.number[row]);
      this.trails = trailData(store, frame, rows);
    }
    return new ScatterplotLayer({ id: "trails", data: this.trails, getRadius: 1.4, radiusUnits: "pixels" });
  }
}

function trailData(store: PictureStore, frame: Frame, rows: Uint32Array): TrailData {
  const positions = new Float64Array(rows.length * TRAIL_DOTS * 2);
  const colours = new Uint8Array(rows.length * TRAIL_DOTS * 4);
  let count = 0;
  for (const row of rows) {
    const colour = isSimulated(frame, row) ? EXERCISE : UNKNOWN;
    store.eachDot(frame.number[row], (longitude, latitude, step) => {
      positions[2 * count] = longitude;
      positions[2 * count + 1] = latitude;
      for (let part = 0; part < 3; part++) colours[4 * count + part] = colour[part];
      colours[4 * count + 3] = 60 + 25 * step;
      count++;
    });
  }
  return {
    length: count,
    attributes: {
      getPosition: { value: positions.subarray(0, 2 * count), size: 2 },
      getFillColor: { value: colours.subarray(0, 4 * count), size: 4, normalized: true },
    },
  };
}

function vectorLayer(frame: Frame, rows: Uint32Array, positions: Float64Array, minutes: number): Layer {
  const targets = new Float64Array(positions.length);
  const colours = new Uint8Array(rows.length * 4);
  rows.forEach((row, index) => {
    colours.set(isSimulated(frame, row) ? EXERCISE : UNKNOWN, 4 * index);
    colours[4 * index + 3] = 150;
    const heading = (headingOf(frame, row) * Math.PI) / 180;
    const degrees = ((speedOf(frame, row) ?? 0) * minutes * 60) / METRES_PER_DEGREE;
    const latitude = positions[2 * index + 1];
    const narrowing = Math.max(Math.cos((latitude * Math.PI) / 180), 0.01);
    targets[2 * index] = positions[2 * index] + (degrees * Math.sin(heading)) / narrowing;
    targets[2 * index + 1] = latitude + degrees * Math.cos(heading);
  });
  return new LineLayer({
    id: "vectors",
    data: {
      length: rows.length,
      attributes: {
        getSourcePosition: { value: positions, size: 2 },
        getTargetPosition: { value: targets, size: 2 },
        getColor: { value: colours, size: 4, normalized: true },
      },
    },
    getWidth: 1.2,
    widthUnits: "pixels",
  });
}

function symbolLayer(frame: Frame, rows: Uint32Array, positions: Float64Array, atlas: SymbolAtlas): Layer {
  // deck.gl's own attribute of an icon: offset x, y, then x, y, width, height in the atlas, and mask.
  const icons = new Float32Array(rows.length * 7);
  rows.forEach((row, index) => {
    const cell = atlas.mapping[stateOf(frame, row)];
    icons[7 * index + 2] = cell.x;
    icons[7 * index + 3] = cell.y;
    icons[7 * index + 4] = cell.width;
    icons[7 * index + 5] = cell.height;
  });
  return new IconLayer({
    id: "symbols",
    data: {
      length: rows.length,
      attributes: { getPosition: { value: positions, size: 2 }, instanceIconDefs: { value: icons, size: 7 } },
    },
    iconAtlas: atlas.image as unknown as string, // deck.gl takes pixels too, its type lags behind
    iconMapping: atlas.mapping,
    getSize: SYMBOL_SIZE,
    sizeUnits: "pixels",
    alphaCutoff: 0.01,
  });
}

/** What is drawn in the moment before the symbols are loaded. */
function dotLayer(rows: Uint32Array, positions: Float64Array): Layer {
  return new ScatterplotLayer({
    id: "dots",
    data: { length: rows.length, attributes: { getPosition: { value: positions, size: 2 } } },
    getRadius: 4,
    radiusUnits: "pixels",
    getFillColor: [...UNKNOWN, 200],
  });
}
