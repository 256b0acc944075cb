import { expect, test } from "vitest";
import { pixelX, pixelY, projectionOf } from "./mercator";

const view = { longitude: 4, latitude: 55, zoom: 5, width: 800, height: 600 };

test("the middle of the view is its middle", () => {
  const projection = projectionOf(view);
  expect(pixelX(projection, view, 4)).toBeCloseTo(400, 6);
  expect(pixelY(projection, 55)).toBeCloseTo(300, 6);
});

test("a place on the other side of 180 degrees is drawn beside the view's middle", () => {
  const east = { ...view, longitude: 179.5 };
  const x = pixelX(projectionOf(east), east, -179.5);
  expect(x).toBeCloseTo(400 + (512 * 2 ** 5) / 360, 6);
});
