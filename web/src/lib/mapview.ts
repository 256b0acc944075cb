/** The map: MapLibre for land and camera, deck.gl for tracks, a canvas for labels. */
import { MapboxOverlay } from "@deck.gl/mapbox";
import { Map as MapLibreMap, ScaleControl, setWorkerUrl, type GeoJSONSource } from "maplibre-gl";
import "maplibre-gl/dist/maplibre-gl.css";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { baseStyle, loadLand, rangeRings, sitePoints, type Site } from "./basemap";
import type { Camera } from "./filters";
import { latitudeOf, longitudeOf } from "./frame";
import { LabelCanvas, type LabelMode } from "./labelcanvas";
import { TrackLayers } from "./layers";
import { pixelX, pixelY, projectionOf, type View } from "./mercator";
import type { PictureStore } from "./picture";
import { makeAtlas, type SymbolAtlas } from "./symbols";

setWorkerUrl(workerUrl);

const PICK_RADIUS = 16; // pixels
const PAN_STEP = 120; // pixels
const REACH_SHOWN = 200_000; // m around a sensor that the first view holds
const METRES_PER_DEGREE = 111_195; // of latitude, mean

export interface MapChoice {
  rows: Uint32Array;
  selected: number | null;
  labels: LabelMode;
  vectorMinutes: number;
  showTrails: boolean;
}

export interface MapListener {
  pick(number: number | null): void;
  cursor(position: { longitude: number; latitude: number } | null): void;
  moved(camera: Camera, byHand: boolean): void;
  labelled(shown: number, inView: number): void;
}

export interface Timing {
  layers: number;
  labels: number;
}

export class MapView {
  readonly labels: LabelCanvas;
  isReady = false;
  timing: Timing = { layers: 0, labels: 0 };
  private map: MapLibreMap;
  private overlay: MapboxOverlay;
  private layers = new TrackLayers();
  private atlas: SymbolAtlas | null = null;
  private choice: MapChoice = {
    rows: new Uint32Array(0),
    selected: null,
    labels: "full",
    vectorMinutes: 0,
    showTrails: true,
  };
  private hovered = -1;
  private pendingSites: Site[] = [];

  constructor(
    container: HTMLElement,
    canvas: HTMLCanvasElement,
    private store: PictureStore,
    camera: Camera,
    private listener: MapListener,
  ) {
    this.labels = new LabelCanvas(canvas);
    this.map = new MapLibreMap({
      container,
      style: baseStyle(),
      center: [camera.longitude, camera.latitude],
      zoom: camera.zoom,
      minZoom: 1,
      maxZoom: 16,
      maxPitch: 0,
      dragRotate: false,
      pitchWithRotate: false,
      keyboard: false, // the page has keys of its own
      attributionControl: { compact: false },
      fadeDuration: 0,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new ScaleControl({ unit: "nautical", maxWidth: 140 }), "bottom-left");
    this.overlay = new MapboxOverlay({ interleaved: false, layers: [] });
    this.map.addControl(this.overlay);
    this.listen();
    void makeAtlas().then((atlas) => {
      this.atlas = atlas;
      this.drawTracks();
    });
  }

  /** Show a new picture, or the same one with other choices. */
  update(choice: MapChoice): void {
    this.choice = choice;
    const begun = performance.now();
    this.drawTracks();
    const drawn = performance.now();
    this.placeLabels();
    this.timing = { layers: drawn - begun, labels: performance.now() - drawn };
  }

  showSites(sites: Site[]): void {
    this.pendingSites = sites;
    if (!this.isReady) return;
    this.source("sites").setData(sitePoints(sites));
    this.source("ranges").setData(rangeRings(sites));
  }

  /** Bring the sensors and what they see into view. */
  showAll(sites: Site[]): void {
    if (sites.length === 0) return;
    let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const site of sites) {
      const reach = Math.min(site.range ?? 0, REACH_SHOWN) / METRES_PER_DEGREE;
      const narrowing = Math.max(Math.cos((site.latitude * Math.PI) / 180), 0.2);
      west = Math.min(west, site.longitude - reach / narrowing);
      east = Math.max(east, site.longitude + reach / narrowing);
      south = Math.min(south, site.latitude - reach);
      north = Math.max(north, site.latitude + reach);
    }
    if (east - west > 180) return; // sites on both sides of 180 degrees: stay where the centre is
    this.map.fitBounds([west, Math.max(south, -80), east, Math.min(north, 80)], { duration: 0 });
  }

  /** Pixels of a track's symbol in the map's box; null when there is no such track. */
  screenPosition(number: number): { x: number; y: number } | null {
    const row = this.store.rowOf(number);
    if (!this.store.frame || row < 0) return null;
    const view = this.view();
    const projection = projectionOf(view);
    return {
      x: pixelX(projection, view, longitudeOf(this.store.frame, row)),
      y: pixelY(projection, latitudeOf(this.store.frame, row)),
    };
  }

  centreOn(number: number): void {
    const row = this.store.rowOf(number);
    if (!this.store.frame || row < 0) return;
    this.map.jumpTo({ center: [longitudeOf(this.store.frame, row), latitudeOf(this.store.frame, row)] });
  }

  moveTo(camera: Camera): void {
    this.map.jumpTo({ center: [camera.longitude, camera.latitude], zoom: camera.zoom });
  }

  pan(right: number, down: number): void {
    this.map.panBy([right * PAN_STEP, down * PAN_STEP], { duration: 0 }, { byHand: true });
  }

  zoomBy(levels: number): void {
    this.map.zoomTo(this.map.getZoom() + levels, { duration: 0 });
  }

  camera(): Camera {
    const centre = this.map.getCenter();
    return { longitude: centre.lng, latitude: centre.lat, zoom: this.map.getZoom() };
  }

  /** Pieces of land that are drawn now. */
  landShown(): number {
    return this.isReady ? this.map.queryRenderedFeatures({ layers: ["land"] }).length : 0;
  }

  destroy(): void {
    this.map.remove();
  }

  private view(): View {
    const box = this.map.getContainer();
    return { ...this.camera(), width: box.clientWidth, height: box.clientHeight };
  }

  private source(name: string): GeoJSONSource {
    return this.map.getSource(name) as GeoJSONSource;
  }

  private listen(): void {
    this.map.on("load", () => {
      this.isReady = true;
      this.showSites(this.pendingSites);
      void loadLand().then(({ land, borders }) => {
        this.source("land").setData(land);
        this.source("borders").setData(borders);
      });
    });
    this.map.on("move", () => this.drawLabels());
    this.map.on("resize", () => this.placeLabels());
    this.map.on("moveend", (event) => {
      this.placeLabels();
      const byHand = "originalEvent" in event || "byHand" in event;
      this.listener.moved(this.camera(), byHand);
    });
    this.map.on("click", (event) => this.listener.pick(this.pick(event.point.x, event.point.y)));
    this.map.on("mousemove", (event) => {
      this.listener.cursor({ longitude: event.lngLat.wrap().lng, latitude: event.lngLat.lat });
      this.hover(this.pick(event.point.x, event.point.y) ?? -1);
    });
    this.map.on("mouseout", () => {
      this.listener.cursor(null);
      this.hover(-1);
    });
  }

  private hover(number: number): void {
    if (number === this.hovered) return;
    this.hovered = number;
    this.map.getCanvas().style.cursor = number >= 0 ? "pointer" : "";
    this.placeLabels();
  }

  /** Track whose symbol is nearest to the point, or whose label is there. */
  private pick(x: number, y: number): number | null {
    const frame = this.store.frame;
    if (!frame) return null;
    const view = this.view();
    const projection = projectionOf(view);
    let nearest: number | null = null;
    let least = PICK_RADIUS;
    for (const row of this.choice.rows) {
      const distance = Math.hypot(
        pixelX(projection, view, longitudeOf(frame, row)) - x,
        pixelY(projection, latitudeOf(frame, row)) - y,
      );
      if (distance < least) {
        least = distance;
        nearest = frame.number[row];
      }
    }
    if (nearest !== null) return nearest;
    const label = this.labels.placed.find(
      (box) => x >= box.left && x <= box.left + box.width && y >= box.top && y <= box.top + box.height,
    );
    return label?.id ?? null;
  }

  private drawTracks(): void {
    const layers = this.layers.make(this.store, this.choice.rows, this.choice, this.atlas);
    this.overlay.setProps({ layers });
  }

  private placeLabels(): void {
    const { rows, labels, selected } = this.choice;
    this.labels.place(this.store, rows, this.view(), labels, selected ?? -1, this.hovered);
    this.listener.labelled(this.labels.placed.length, this.labels.inView);
    this.drawLabels();
  }

  private drawLabels(): void {
    this.labels.draw(this.store, this.view(), this.choice.labels, this.choice.selected ?? -1);
  }
}
