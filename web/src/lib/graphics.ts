/** How the browser draws: with the graphics hardware, in software, or not at all. */
export type Graphics = "hardware" | "software" | "none";

export function findGraphics(): Graphics {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (context) {
    const info = context.getExtension("WEBGL_debug_renderer_info");
    const renderer = info ? String(context.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
    context.getExtension("WEBGL_lose_context")?.loseContext();
    return /swiftshader|llvmpipe|software/i.test(renderer) ? "software" : "hardware";
  }
  return document.createElement("canvas").getContext("webgl2") ? "software" : "none";
}
