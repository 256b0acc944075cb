// Drives one headless Chromium for a program on the other end of standard input and output: each line is
// a command as JSON, each answer one line. Requests to anything but this machine are refused and counted.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const LOCAL = new Set(["127.0.0.1", "localhost", "[::1]"]);

const browser = await chromium.launch({ executablePath: process.argv[2], headless: true, args: FLAGS });
const pages = new Map();

async function open({ page: name, width, height, scripts = [] }) {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  const kept = { page, context, console: [], foreign: [] };
  await context.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (LOCAL.has(url.hostname) || url.protocol === "data:" || url.protocol === "blob:") return route.continue();
    kept.foreign.push(url.href);
    return route.abort();
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) kept.console.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => kept.console.push(`error: ${error.stack ?? error.message}`));
  for (const script of scripts) await page.addInitScript(script);
  kept.protocol = await context.newCDPSession(page);
  pages.set(name, kept);
}

// Not waitForFunction: it needs eval inside the page, which the page's content policy forbids.
async function waitUntil(page, script, timeout) {
  const end = Date.now() + timeout;
  while (!(await page.evaluate(script))) {
    if (Date.now() > end) throw new Error(`not true within ${timeout} ms: ${script}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const commands = {
  open,
  close: ({ page }) => pages.get(page).context.close(),
  goto: async ({ page, url }) => (await pages.get(page).page.goto(url, { waitUntil: "commit" })).status(),
  reload: async ({ page }) => void (await pages.get(page).page.reload({ waitUntil: "commit" })),
  evaluate: ({ page, script }) => pages.get(page).page.evaluate(script),
  wait: ({ page, script, timeout }) => waitUntil(pages.get(page).page, script, timeout),
  press: ({ page, key }) => pages.get(page).page.keyboard.press(key),
  type: ({ page, text }) => pages.get(page).page.keyboard.type(text),
  fill: ({ page, selector, text }) => pages.get(page).page.fill(selector, text),
  click: ({ page, selector }) => pages.get(page).page.click(selector),
  click_at: ({ page, x, y }) => pages.get(page).page.mouse.click(x, y),
  text: ({ page, selector }) => pages.get(page).page.innerText(selector),
  screenshot: async ({ page, path }) => void (await pages.get(page).page.screenshot({ path })),
  console: ({ page }) => pages.get(page).console,
  foreign: ({ page }) => pages.get(page).foreign,
  protocol: ({ page, method, parameters }) => pages.get(page).protocol.send(method, parameters),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...details } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await commands[command](details)) ?? null };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
