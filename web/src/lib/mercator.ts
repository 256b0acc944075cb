/** Web Mercator between degrees and pixels of a north-up view: the same sums as MapLibre's, in bulk. */

const TILE = 512; // pixels of the world at zoom 0

export interface View {
  longitude: number;
  latitude: number;
  zoom: number;
  width: number;
  height: number;
}

/** 0 to 1 from west to east. */
export const mercatorX = (longitude: number): number => longitude / 360 + 0.5;

/** 0 to 1 from north to south. */
export function mercatorY(latitude: number): number {
  const radians = (latitude * Math.PI) / 180;
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + radians / 2)) / (2 * Math.PI);
}

export interface Projection {
  scale: number;
  left: number;
  top: number;
}

/** What turns mercator coordinates into pixels of `view`. */
export function projectionOf(view: View): Projection {
  const scale = TILE * 2 ** view.zoom;
  return {
    scale,
    left: mercatorX(view.longitude) * scale - view.width / 2,
    top: mercatorY(view.latitude) * scale - view.height / 2,
  };
}

/** Pixels from the left; of the copies of the world, the one nearest to the middle of the view. */
export function pixelX(projection: Projection, view: View, longitude: number): number {
  const x = mercatorX(longitude) * projection.scale - projection.left;
  const turns = Math.round((x - view.width / 2) / projection.scale);
  return x - turns * projection.scale;
}

/** Pixels from the top. */
export const pixelY = (projection: Projection, latitude: number): number =>
  mercatorY(latitude) * projection.scale - projection.top;
