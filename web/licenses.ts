/** Writes the licences of everything in the bundle to `LICENSES.txt` beside the page. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";

export function licenses(): Plugin {
  const folders = new Set<string>();
  return {
    name: "licenses",
    apply: "build",
    moduleParsed({ id }) {
      const folder = packageFolder(id);
      if (folder) folders.add(folder);
    },
    generateBundle() {
      const texts = [...folders].sort().map(describe);
      this.emitFile({ type: "asset", fileName: "LICENSES.txt", source: texts.join("\n\n") });
    },
  };
}

/** Folder of the installed package that a module is of; null for our own. */
function packageFolder(id: string): string | null {
  const path = id.replace(/^\0/, "").replace(/\?.*$/, "");
  if (!path.includes("/node_modules/") || !existsSync(path)) return null;
  let folder = dirname(path);
  while (folder.includes("/node_modules/")) {
    const manifest = join(folder, "package.json");
    // A package may hold manifests without a name, which only say how its files are to be read.
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, "utf8")) as Manifest).version) return folder;
    folder = dirname(folder);
  }
  return null;
}

interface Manifest {
  name: string;
  version?: string;
  license?: string;
}

function describe(folder: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  const files = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  const texts = files.map((name) => readFileSync(join(folder, name), "utf8").trim());
  return [`${manifest.name} ${manifest.version}: ${manifest.license ?? "see below"}`, ...texts].join("\n\n");
}
