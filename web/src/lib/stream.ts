/** The two sockets of the page, each of which comes back by itself. */
import { decodeFrame, type Frame } from "./frame";
import type { TrackName } from "./picture";

const RETRY_FIRST = 500; // ms
const RETRY_MOST = 5000; // ms
const SILENCE_MOST = 15000; // ms without a frame after which the socket is opened anew

export interface SensorHealth {
  name: string;
  kind: string;
  state: "fresh" | "stale" | "silent";
  last_received: number | null;
  plots_per_second: number;
  plots_total: number;
  errors_total: number;
  errors: Record<string, number>;
  rotation_period: number | null;
  clock_offset: number | null;
  /** Plots by what became of them, total. */
  outcomes: Record<string, number>;
  /** Why plots fed no track, total, most frequent first. */
  reasons: Record<string, number>;
  /** Of the plots settled in the last minute, those that fed a track; null when they were few. */
  used_share: number | null;
  refused_share: number | null;
}

export interface PartnerState {
  name: string;
  link: "up" | "late" | "down";
  since: number | null;
  we_give: string;
  we_give_why: string;
  they_give: string;
  /** Our reason, while a person here has stopped what it gets. */
  suspended: string | null;
  /** Its reason, empty when it gives none, while a person there has stopped what we get. */
  suspends_us: string | null;
  /** "exercise" while both sides have agreed to the same one, else "live". */
  mode: string;
  /** That this centre takes part in; empty for none. */
  exercise: string;
  /** That the partner takes part in; empty for none. */
  their_exercise: string;
  tracks: number;
  report_age: number | null;
  /** Shares from 0 to 1 of what both centres hold. */
  commonality: { held: number; number: number; state: number; identity: number; skew: number | null } | null;
}

/** What of us a partner gets, whose view the page shows. */
export interface PartnerView {
  partner: string;
  rung: string;
  /** Why it is no higher one. */
  why: string;
  label: string;
  /** Names of the sensors that it knows of. */
  sensors: string[];
  tracks: number;
  /** Tracks that we have. */
  of: number;
  /** Emergency codes in our picture that the view does not show. */
  emergencies: number;
}

interface Snapshot {
  tracks: TrackName[];
  sensors: SensorHealth[];
  partners: PartnerState[];
  words: TrackWord[];
  names: string[];
  view: PartnerView | null;
}

/** What a person said of two tracks. */
export interface TrackWord {
  /** In this centre; twice the same where they are one track, 0 for one that is not there. */
  numbers: [number, number];
  joints: [string, string];
  is_one: boolean;
  /** Said in this centre: it stands above the rules. Else it is a partner's proposal. */
  binds: boolean;
  centre: string;
  by: string;
  reason: string;
  said: number;
}

export type CentreEvent = { id: number; epoch: number } & (
  | { kind: "snapshot"; data: Snapshot }
  | { kind: "tracks"; data: { changed: TrackName[]; ended: number[] } }
  | { kind: "sensors"; data: SensorHealth[] }
  | { kind: "partners"; data: PartnerState[] }
  | { kind: "words"; data: TrackWord[] }
  | { kind: "names"; data: string[] }
  | { kind: "view"; data: PartnerView }
);

const socketAddress = (path: string): string => location.origin.replace(/^http/, "ws") + path;

/** A socket that is opened again after it closed, later each time until it worked. */
class LastingSocket {
  private socket: WebSocket | null = null;
  private wait = RETRY_FIRST;
  private timer = 0;
  private stopped = false;
  private heard = performance.now();

  constructor(
    private address: () => string,
    private take: (data: unknown, socket: WebSocket) => void,
    private silenceMost: number,
  ) {
    this.open();
  }

  /** Open anew when nothing came for too long: a dead link may never say that it closed. */
  check(): void {
    if (this.socket && performance.now() - this.heard > this.silenceMost) this.reopen();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null; // so that nothing is taken that it may still bring
    socket?.close();
  }

  private open(): void {
    const socket = new WebSocket(this.address());
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = (message) => {
      if (socket !== this.socket) return;
      this.wait = RETRY_FIRST;
      this.heard = performance.now();
      this.take(message.data, socket);
    };
    socket.onclose = () => {
      if (socket === this.socket) this.reopen();
    };
  }

  private reopen(): void {
    const old = this.socket;
    this.socket = null;
    old?.close();
    if (this.stopped) return;
    this.timer = window.setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, RETRY_MOST);
  }
}

export interface Streams {
  stop(): void;
}

/**
 * Connect to the centre, for our picture or for what a partner sees of us; each frame is answered after
 * `takeFrame`, which asks for the next.
 */
export function connect(
  partner: string | null,
  takeFrame: (frame: Frame) => void,
  takeEvent: (event: CentreEvent) => void,
  fail: (reason: string) => void,
): Streams {
  const answer = new Uint8Array(1);
  const seenBy = partner === null ? "" : `as=${encodeURIComponent(partner)}`;
  const pictures = new LastingSocket(
    () => socketAddress(`/ws/picture?${seenBy}`),
    (data, socket) => {
      let frame: Frame;
      try {
        frame = decodeFrame(data as ArrayBuffer);
      } catch (error) {
        fail(`The centre sent a picture that this page can't read (${String(error)}). Reload the page.`);
        return; // unanswered, so that the centre sends no more of them
      }
      takeFrame(frame);
      if (socket.readyState === WebSocket.OPEN) socket.send(answer);
    },
    SILENCE_MOST,
  );
  let last: CentreEvent | null = null;
  const events = new LastingSocket(
    () => socketAddress(`/ws/events?${seenBy}` + (last ? `&epoch=${last.epoch}&after=${last.id}` : "")),
    (data) => {
      last = JSON.parse(data as string) as CentreEvent;
      takeEvent(last);
    },
    Infinity,
  );
  const timer = window.setInterval(() => pictures.check(), 1000);
  return {
    stop() {
      clearInterval(timer);
      pictures.stop();
      events.stop();
    },
  };
}
