/** The page's state: what came from the centre, what the crew chose, and what follows from both. */
import type { Site } from "./basemap";
import { fromHash, noFilters, toHash, visibleRows, type Camera, type Filters } from "./filters";
import { SIMULATED, type Frame } from "./frame";
import { findGraphics, type Graphics } from "./graphics";
import type { LabelMode } from "./labelcanvas";
import { MapView } from "./mapview";
import { PictureStore } from "./picture";
import {
  connect,
  type CentreEvent,
  type PartnerState,
  type PartnerView,
  type SensorHealth,
  type Streams,
  type TrackWord,
} from "./stream";

export const STALE_AFTER = 3; // s without a frame
export const LOST_AFTER = 10; // s
const NOT_NOW = 10; // s between picture and clock beyond which the picture is not of now
const CLOCK_TRIP = 1; // s that an answer may take to set the clock by
const CLOCK_AGAIN = 5000; // ms between two tries
const VECTOR_MINUTES = [0, 1, 2, 5];
const LABEL_MODES: LabelMode[] = ["full", "short", "none"];
const TIMINGS_KEPT = 240;

export type Liveness = "waiting" | "live" | "stale" | "lost";

export interface Centre {
  name: string;
  version: string;
  latitude_deg: number;
  longitude_deg: number;
  time: number;
  sensor_names: string[];
  history_period: number;
  /** Whether people may say here that tracks are one aircraft, or two. */
  judged: boolean;
  demo: boolean;
}

export interface SensorRow {
  name: string;
  kind: string;
  latitude_deg?: number | null;
  longitude_deg?: number | null;
  range_max?: number | null;
  health: SensorHealth | null;
}

export interface UpdateTiming {
  total: number;
  layers: number;
  labels: number;
}

export class App {
  readonly store = new PictureStore();
  readonly graphics: Graphics = findGraphics();
  map: MapView | null = null;

  /** Rises with each change of the picture or of what is shown of it. */
  tick = $state(0);
  sequence = $state(0);
  trackCount = $state(0);
  /** Of them, those that are of an exercise. */
  simulatedCount = $state(0);
  pictureTime = $state(0);
  liveness = $state<Liveness>("waiting");
  /** Seconds since the last frame came. */
  silence = $state(0);
  /** The centre's clock, UTC s since 1970. */
  now = $state(Date.now() / 1000);

  centre = $state.raw<Centre | null>(null);
  sensors = $state.raw<SensorRow[]>([]);
  partners = $state.raw<PartnerState[]>([]);
  /** What people said of pairs of tracks, here and at partners. */
  words = $state.raw<TrackWord[]>([]);
  /** Partner whose view of us is shown instead of our picture. */
  viewing = $state<string | null>(null);
  /** What it gets, once known. */
  view = $state.raw<PartnerView | null>(null);
  /** In the order of the bits of frames. */
  sensorNames = $state.raw<string[]>([]);
  rows = $state.raw<Uint32Array>(new Uint32Array(0));
  labelsShown = $state(0);
  labelsWanted = $state(0);
  cursor = $state.raw<{ longitude: number; latitude: number } | null>(null);

  selected = $state<number | null>(null);
  filters = $state<Filters>(noFilters());
  labelMode = $state<LabelMode>("full");
  vectorMinutes = $state(2);
  showTrails = $state(true);
  isFollowing = $state(false);
  isHelpOpen = $state(false);
  failure = $state("");

  isNow = $derived(Math.abs(this.now - this.silence - this.pictureTime) < NOT_NOW);
  sensorsShown = $derived(
    this.viewing === null
      ? this.sensors
      : this.sensors.filter((sensor) => this.view?.sensors.includes(sensor.name) ?? false),
  );
  sensorsFresh = $derived(this.sensors.filter((sensor) => sensor.health?.state === "fresh").length);

  readonly timings: UpdateTiming[] = [];
  updates = 0; // pictures shown
  private selectedUid: string | null = null;
  private wantedJoint: string | null = null; // of the aircraft that was selected before the view changed
  private clockOffset = 0; // s that the centre's clock is ahead of the browser's
  private clockTrip = Infinity; // s that the answer took by which it is known
  private clockAsked = 0; // when, ms of the page
  private lastFrame = performance.now();
  private hasPicture = false;
  private streams: Streams | null = null;
  private timer = 0;

  constructor() {
    const restored = fromHash(location.hash);
    this.filters = restored.filters;
    this.selected = restored.selected;
  }

  async start(container: HTMLElement, canvas: HTMLCanvasElement): Promise<void> {
    this.timer = window.setInterval(() => this.watchClock(), 200);
    this.connect();
    const centre = await this.askCentre();
    if (this.graphics === "none") {
      this.failure = "This browser has no WebGL: the map can't be drawn. The track table works.";
      return;
    }
    const restored = fromHash(location.hash).camera;
    const home = { longitude: centre?.longitude_deg ?? 0, latitude: centre?.latitude_deg ?? 0, zoom: 6 };
    this.map = new MapView(container, canvas, this.store, restored ?? home, {
      pick: (number) => this.select(number),
      cursor: (position) => (this.cursor = position),
      moved: (_, byHand) => {
        if (byHand) this.isFollowing = false;
        this.rememberView();
      },
      labelled: (shown, inView) => {
        this.labelsShown = shown;
        this.labelsWanted = inView;
      },
    });
    this.showSites();
    if (!restored) this.map.showAll(this.sites());
    this.refresh();
  }

  /**
   * Show what a partner sees of us, or with null our own picture again. Nothing of one is kept for the
   * other, and the page's address does not say it, so that a page that is opened anew shows our own.
   */
  viewAs(partner: string | null): void {
    if (partner === this.viewing) return;
    this.wantedJoint = this.selected === null ? null : (this.store.names.get(this.selected)?.joint ?? null);
    this.streams?.stop();
    this.viewing = partner;
    this.view = null;
    this.sensorNames = [];
    this.store.clear();
    this.hasPicture = false; // the silence goes on counting until the next picture
    this.trackCount = this.simulatedCount = 0;
    this.connect();
    this.watchClock();
    this.showSites();
    this.select(null);
  }

  /** Show what another address of this page says, as after "back" or an edit by hand. */
  restoreView(): void {
    const restored = fromHash(location.hash);
    this.filters = restored.filters;
    if (restored.camera) this.map?.moveTo(restored.camera);
    this.isFollowing = false;
    this.select(restored.selected);
  }

  stop(): void {
    clearInterval(this.timer);
    this.streams?.stop();
    this.map?.destroy();
  }

  select(number: number | null): void {
    if (number !== null) this.wantedJoint = null;
    this.selected = number;
    this.selectedUid = number === null ? null : (this.store.names.get(number)?.uid ?? null);
    if (number === null) this.isFollowing = false;
    this.refresh();
    this.rememberView();
  }

  /** Select the next (or with -1 the previous) of `numbers`, the order of the table. */
  selectNext(numbers: number[], step: number): void {
    if (numbers.length === 0) return;
    const at = this.selected === null ? -1 : numbers.indexOf(this.selected);
    const next = at < 0 ? (step > 0 ? 0 : numbers.length - 1) : (at + step + numbers.length) % numbers.length;
    this.select(numbers[next]);
  }

  setFilters(filters: Filters): void {
    this.filters = filters;
    this.refresh();
    this.rememberView();
  }

  nextLabelMode(): void {
    this.labelMode = LABEL_MODES[(LABEL_MODES.indexOf(this.labelMode) + 1) % LABEL_MODES.length];
    this.refresh();
  }

  nextVector(): void {
    this.vectorMinutes = VECTOR_MINUTES[(VECTOR_MINUTES.indexOf(this.vectorMinutes) + 1) % VECTOR_MINUTES.length];
    this.refresh();
  }

  toggleTrails(): void {
    this.showTrails = !this.showTrails;
    this.refresh();
  }

  toggleFollow(): void {
    this.isFollowing = !this.isFollowing && this.selected !== null;
    this.refresh();
  }

  centreOn(number: number): void {
    this.map?.centreOn(number);
  }

  /** Work out what is shown and draw it. */
  refresh(): void {
    this.rows = visibleRows(this.store, this.filters, this.selected);
    this.tick++;
    if (this.isFollowing && this.selected !== null) this.map?.centreOn(this.selected);
    this.map?.update({
      rows: this.rows,
      selected: this.selected,
      labels: this.labelMode,
      vectorMinutes: this.vectorMinutes,
      showTrails: this.showTrails,
    });
  }

  private connect(): void {
    this.streams = connect(
      this.viewing,
      (frame) => this.takeFrame(frame),
      (event) => this.takeEvent(event),
      (reason) => (this.failure = reason),
    );
  }

  private takeFrame(frame: Frame): void {
    const begun = performance.now();
    const isNew = this.store.apply(frame);
    if (!isNew) return;
    if (frame.sequence === this.sequence && frame.time === this.pictureTime && this.hasPicture) {
      // The same picture, sent again after reconnecting: it is no sign of life of the tracker.
      this.refresh();
      return;
    }
    this.hasPicture = true;
    this.lastFrame = begun;
    this.sequence = frame.sequence;
    this.pictureTime = frame.time;
    this.trackCount = frame.count;
    this.simulatedCount = frame.flags.reduce((sum, flags) => sum + (flags & SIMULATED ? 1 : 0), 0);
    this.watchClock();
    this.refresh();
    this.updates++;
    const timing = this.map?.timing ?? { layers: 0, labels: 0 };
    this.timings.push({ total: performance.now() - begun, ...timing });
    if (this.timings.length > TIMINGS_KEPT) this.timings.shift();
  }

  private takeEvent(event: CentreEvent): void {
    if (event.kind === "snapshot") {
      this.store.setNames(event.data.tracks);
      this.takeHealth(event.data.sensors);
      this.takePartners(event.data.partners);
      this.words = event.data.words;
      this.sensorNames = event.data.names;
      if (event.data.view) this.takeView(event.data.view);
      void this.askCentre();
    } else if (event.kind === "tracks") {
      this.store.changeNames(event.data);
    } else if (event.kind === "partners") {
      this.takePartners(event.data);
      return;
    } else if (event.kind === "words") {
      this.words = event.data;
      return;
    } else if (event.kind === "names") {
      this.sensorNames = event.data; // sensors of partners join while the page is open
      return;
    } else if (event.kind === "view") {
      this.takeView(event.data);
      return;
    } else {
      this.takeHealth(event.data);
      return;
    }
    this.keepSelection();
    this.refresh();
  }

  /** A selection is of one aircraft: another that gets its number later is not selected. */
  private keepSelection(): void {
    if (this.selected === null && this.wantedJoint !== null) this.selectWanted(this.wantedJoint);
    if (this.selected === null) return;
    const uid = this.store.names.get(this.selected)?.uid ?? null;
    if (uid !== null && this.selectedUid === null) this.selectedUid = uid;
    else if (uid !== null && uid !== this.selectedUid) this.select(null);
  }

  private selectWanted(joint: string): void {
    for (const name of this.store.names.values()) {
      if (name.joint === joint) {
        this.select(name.number);
        return;
      }
    }
  }

  private takePartners(partners: PartnerState[]): void {
    this.partners = partners;
    const isGone = this.viewing !== null && !partners.some((partner) => partner.name === this.viewing);
    if (isGone) this.viewAs(null);
  }

  private takeView(view: PartnerView): void {
    const isSame = view.sensors.join() === this.view?.sensors.join();
    this.view = view;
    if (!isSame) this.showSites();
  }

  /** In the demo: cut the links of the centres, or heal them. */
  async cutLink(cut: boolean): Promise<void> {
    const answer = await fetch(`/api/demo/link?cut=${cut}`, { method: "POST" });
    if (!answer.ok) this.failure = "The demo did not answer.";
  }

  /** Say that two tracks are the same aircraft, different ones, or left to the rules; why not, where it can't be. */
  async judge(verdict: string, one: string, other: string, by: string, reason: string): Promise<string> {
    try {
      const answer = await fetch("/api/correlations", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ verdict, one, other, by, reason }),
      });
      if (answer.ok) return "";
      const { detail } = (await answer.json()) as { detail: unknown };
      return typeof detail === "string" ? detail : "The centre did not understand it.";
    } catch {
      return "The centre did not answer: it is not said.";
    }
  }

  private takeHealth(health: SensorHealth[]): void {
    const byName = new Map(health.map((sensor) => [sensor.name, sensor]));
    const known = new Set(this.sensors.map((sensor) => sensor.name));
    this.sensors = [
      ...this.sensors.map((sensor) => ({ ...sensor, health: byName.get(sensor.name) ?? sensor.health })),
      ...health
        .filter((sensor) => !known.has(sensor.name))
        .map((sensor) => ({ name: sensor.name, kind: sensor.kind, health: sensor })),
    ];
    this.showSites();
  }

  private async askCentre(): Promise<Centre | null> {
    try {
      const [centre, sensors] = await Promise.all([
        this.askClock(),
        fetch("/api/sensors").then((answer) => answer.json() as Promise<(SensorRow & SensorHealth)[]>),
      ]);
      this.store.trailPeriod = centre.history_period;
      this.sensors = sensors.map((sensor) => ({ ...sensor, health: sensor.state ? sensor : null }));
      this.centre = centre;
      this.showSites();
      return centre;
    } catch {
      return null; // the streams go on trying, and each snapshot asks again
    }
  }

  /** Set the clock by the quickest answer so far: one that a busy page took late says little. */
  private async askClock(): Promise<Centre> {
    const begun = Date.now() / 1000;
    this.clockAsked = performance.now();
    const answer = await fetch("/api/centre");
    const ended = Date.now() / 1000;
    const centre = (await answer.json()) as Centre;
    if (ended - begun < this.clockTrip) {
      this.clockTrip = ended - begun;
      this.clockOffset = centre.time - (begun + ended) / 2;
    }
    return centre;
  }

  private showSites(): void {
    this.map?.showSites(this.sites());
  }

  /** Sensors whose place is known. */
  private sites(): Site[] {
    const sites: Site[] = [];
    for (const sensor of this.sensorsShown) {
      if (sensor.latitude_deg == null || sensor.longitude_deg == null) continue;
      sites.push({
        name: sensor.name,
        longitude: sensor.longitude_deg,
        latitude: sensor.latitude_deg,
        range: sensor.range_max ?? null,
        state: sensor.health?.state ?? "",
      });
    }
    return sites;
  }

  private watchClock(): void {
    this.now = Date.now() / 1000 + this.clockOffset;
    const isUnsure = this.clockTrip > CLOCK_TRIP && performance.now() - this.clockAsked > CLOCK_AGAIN;
    if (isUnsure) void this.askClock().catch(() => null); // the streams say when the centre is gone
    this.silence = (performance.now() - this.lastFrame) / 1000;
    if (this.silence > LOST_AFTER) this.liveness = "lost";
    else if (this.silence > STALE_AFTER) this.liveness = this.hasPicture ? "stale" : "waiting";
    else this.liveness = this.hasPicture ? "live" : "waiting";
  }

  private rememberView(): void {
    const camera: Camera | undefined = this.map?.camera();
    if (camera) history.replaceState(null, "", toHash(camera, this.filters, this.viewing === null ? this.selected : null));
  }
}
