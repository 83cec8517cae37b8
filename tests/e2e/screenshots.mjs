// Takes the pictures of docs/screenshots/ from a running leaderboard:
//   neurodx board --headless --port 8501
//   NEURODX_PLAYWRIGHT=DIR node tests/e2e/screenshots.mjs http://localhost:8501 docs/screenshots
// playwright-core is looked for in the folder named by NEURODX_PLAYWRIGHT.
import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

const [base = "http://localhost:8501", folder = "docs/screenshots"] = process.argv.slice(2);
const require = createRequire(resolve(process.env.NEURODX_PLAYWRIGHT ?? ".", "x.js"));
const { chromium } = require("playwright-core");

const PAGES = {
  leaderboard: "/?cohort=phantom-memory",
  "by-task": "/by-task",
  robustness: "/robustness?cohort=phantom-memory",
  ablations: "/ablations",
  cards: "/cards?method=resnet3d",
};
const SIZES = { 1280: 900, 390: 844 };
const FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of Object.entries(SIZES)) {
    const context = await browser.newContext({
      colorScheme, viewport: { width: Number(width), height },
    });
    for (const [name, path] of Object.entries(PAGES)) {
      const page = await context.newPage();
      await page.goto(base + path);
      await page.waitForSelector(".nx-trust");
      await page.waitForFunction(() => !document.querySelector("[data-testid=stStatusWidget]"));
      await page.waitForTimeout(700); // charts draw after the last message
      // Streamlit scrolls inside its own container, so the window must hold the whole page.
      const whole = await page.evaluate(
        () => document.querySelector("[data-testid=stMain]").scrollHeight,
      );
      await page.setViewportSize({ width: Number(width), height: Math.min(whole, 4000) });
      await page.waitForTimeout(400);
      await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`) });
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
