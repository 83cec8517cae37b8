// Drives Chromium over the leaderboard and prints what it saw as JSON; the test asserts on that.
import { createRequire } from "node:module";
import { join } from "node:path";

const base = process.argv[2];
const require = createRequire(join(process.env.NEURODX_PLAYWRIGHT, "x.js"));
const { chromium } = require("playwright-core");
const FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
// A deep link makes Streamlit ask for these two under the page's own path, once each.
const KNOWN = /\/(_stcore\/health|_stcore\/host-config)$/;
const PAGES = ["/", "/?cohort=phantom-memory", "/by-task", "/robustness", "/honesty", "/cards?method=resnet3d", "/protocol", "/about"];

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
const errors = { unknown: [], outside: [] };

async function open(width, colorScheme = "light") {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on("console", (m) => {
    if (m.type() === "error" && !KNOWN.test(m.location().url)) errors.unknown.push(m.text());
  });
  page.on("pageerror", (e) => errors.unknown.push(String(e)));
  page.on("request", (r) => {
    const { protocol, hostname } = new URL(r.url());
    if (protocol.startsWith("http") && hostname !== "localhost") errors.outside.push(r.url());
  });
  return page;
}

async function visit(page, path) {
  await page.goto(base + path);
  await page.waitForSelector(".nx-trust");
}

const table = (page) => page.innerText("table.nx-table tbody");
const seen = { errors };

const desk = await open(1280);
await visit(desk, "/");
seen.first = { table: await table(desk), firstLine: await desk.innerText(".nx-notice") };
await desk.getByRole("combobox", { name: /Cohort/ }).click();
await desk.getByRole("option", { name: /phantom-memory/ }).click();
await desk.waitForFunction(() => document.querySelector("tbody").innerText.includes("Oracle"));
seen.filtered = { table: await table(desk), url: desk.url() };
await desk.goBack();
await desk.waitForFunction(() => document.querySelector("tbody").innerText.includes("Biomarkers"));
seen.back = { table: await table(desk) };
await visit(desk, "/?cohort=phantom-memory&task=brain_age&without=voxel_svm");
seen.deep = { table: await table(desk), head: await desk.innerText("thead") };
await visit(desk, "/cards?method=resnet3d");
seen.card = { heading: await desk.innerText("h2") };

const phone = await open(390);
seen.phone = { overflow: {} };
for (const path of PAGES) {
  await visit(phone, path);
  seen.phone.overflow[path] = await phone.evaluate(() => {
    const main = document.querySelector("[data-testid=stMain]");
    const root = document.documentElement;
    return Math.max(main.scrollWidth - main.clientWidth, root.scrollWidth - root.clientWidth);
  });
}

function look() {
  const parts = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => {
    const [r, g, b] = parts(c).slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor;
  const texts = [...document.querySelectorAll(".nx-table .quiet, .nx-table a, .nx-table .chip, .nx-trust")];
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const contrast = Math.min(...texts.map((e) => ratio(light(getComputedStyle(e).color), light(ground))));
  return { ground, contrast };
}

for (const theme of ["light", "dark"]) {
  const page = await open(1280, theme);
  await visit(page, "/?cohort=phantom-memory");
  const chart = page.locator("[aria-label^='Forest plot']").first();
  await chart.waitFor({ state: "attached" });
  seen[theme] = { ...(await page.evaluate(look)), alt: await chart.getAttribute("aria-label") };
}

await browser.close();
console.log(JSON.stringify(seen));
