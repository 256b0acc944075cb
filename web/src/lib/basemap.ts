/** The offline base map: land and borders of Natural Earth, a graticule, and the sensors' sites. */
import type { Feature, FeatureCollection, MultiLineString, Position } from "geojson";
import type { StyleSpecification } from "maplibre-gl";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import atlasUrl from "world-atlas/countries-50m.json?url";

const SEA = "#0B1118";
const LAND = "#161D26";
const COAST = "#3A4858";
const BORDER = "#2E3B49";
const GRID = "#161F29";

type WorldAtlas = Topology<{ countries: GeometryCollection; land: GeometryCollection }>;

const nothing = (): FeatureCollection => ({ type: "FeatureCollection", features: [] });

/** Meridians and parallels every `step` degrees, between the latitudes that Mercator shows. */
function graticule(step: number): Feature<MultiLineString> {
  const lines: Position[][] = [];
  for (let longitude = -180; longitude <= 180; longitude += step) {
    lines.push([
      [longitude, -85],
      [longitude, 85],
    ]);
  }
  for (let latitude = -80; latitude <= 80; latitude += step) {
    lines.push([
      [-180, latitude],
      [180, latitude],
    ]);
  }
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
}

/** A style without land; `loadLand` fills it in. */
export function baseStyle(): StyleSpecification {
  const line = (source: string, colour: string, width: number, minzoom = 0, maxzoom = 24) => ({
    id: source,
    type: "line" as const,
    source,
    minzoom,
    maxzoom,
    paint: { "line-color": colour, "line-width": width },
  });
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: nothing(), attribution: "Natural Earth" },
      borders: { type: "geojson", data: nothing() },
      grid10: { type: "geojson", data: graticule(10) },
      grid1: { type: "geojson", data: graticule(1) },
      ranges: { type: "geojson", data: nothing() },
      sites: { type: "geojson", data: nothing() },
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": SEA } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": LAND } },
      line("grid10", GRID, 1, 0, 6),
      line("grid1", GRID, 1, 6),
      line("borders", BORDER, 0.8),
      {
        id: "coast",
        type: "line",
        source: "land",
        paint: { "line-color": COAST, "line-width": 0.8 },
      },
      {
        id: "ranges",
        type: "line",
        source: "ranges",
        paint: { "line-color": "#4A5A6B", "line-width": 0.7, "line-opacity": 0.5, "line-dasharray": [4, 5] },
      },
      {
        id: "sites",
        type: "circle",
        source: "sites",
        paint: {
          "circle-radius": 3.5,
          "circle-color": SEA,
          "circle-stroke-color": ["match", ["get", "state"], "silent", "#FF4D4D", "stale", "#E8891C", "#9FB0C0"],
          "circle-stroke-width": 1.5,
        },
      },
    ],
  };
}

/** Land and borders of the whole world at 1:50 million. */
export async function loadLand(): Promise<{ land: FeatureCollection; borders: Feature<MultiLineString> }> {
  const answer = await fetch(atlasUrl);
  if (!answer.ok) throw new Error(`base map: ${answer.status}`);
  const atlas = (await answer.json()) as WorldAtlas;
  const borders = mesh(atlas, atlas.objects.countries, (a, b) => a !== b);
  return {
    land: feature(atlas, atlas.objects.land) as FeatureCollection,
    borders: { type: "Feature", properties: {}, geometry: borders },
  };
}

export interface Site {
  name: string;
  longitude: number;
  latitude: number;
  /** Metres. */
  range: number | null;
  state: string;
}

export const sitePoints = (sites: Site[]): FeatureCollection => ({
  type: "FeatureCollection",
  features: sites.map((site) => ({
    type: "Feature",
    properties: { name: site.name, state: site.state },
    geometry: { type: "Point", coordinates: [site.longitude, site.latitude] },
  })),
});

/** A ring at each site's range; on a sphere, which is near enough for a dim line. */
export const rangeRings = (sites: Site[]): FeatureCollection => ({
  type: "FeatureCollection",
  features: sites
    .filter((site) => site.range !== null)
    .map((site) => ({
      type: "Feature",
      properties: {},
      geometry: { type: "LineString", coordinates: ring(site, site.range ?? 0) },
    })),
});

const EARTH_RADIUS = 6_371_008.8; // m

function ring(site: Site, range: number): Position[] {
  const points: Position[] = [];
  const angle = range / EARTH_RADIUS;
  const latitude = (site.latitude * Math.PI) / 180;
  for (let step = 0; step <= 72; step++) {
    const bearing = (step * 2 * Math.PI) / 72;
    const sine = Math.sin(latitude) * Math.cos(angle) + Math.cos(latitude) * Math.sin(angle) * Math.cos(bearing);
    const east = Math.atan2(
      Math.sin(bearing) * Math.sin(angle) * Math.cos(latitude),
      Math.cos(angle) - Math.sin(latitude) * sine,
    );
    points.push([site.longitude + (east * 180) / Math.PI, (Math.asin(sine) * 180) / Math.PI]);
  }
  return points;
}
