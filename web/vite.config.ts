import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { licenses } from "./licenses.ts";

const centre = process.env.SKYPACT_CENTRE ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte(), licenses()],
  // MapLibre's worker is an ES module with imports of its own.
  worker: { format: "es" },
  build: {
    outDir: "../src/skypact/static",
    emptyOutDir: true,
    target: "es2022",
    // Fonts and map data stay files: the page's content policy allows no data: addresses for them.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2500,
  },
  server: {
    proxy: { "/api": centre, "/ws": { target: centre.replace(/^http/, "ws"), ws: true } },
  },
  test: { include: ["src/**/*.test.ts"] },
});
