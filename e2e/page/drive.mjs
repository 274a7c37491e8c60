// Drives the page in Chromium: node drive.mjs SCENARIO URL [JSON for the scenario]. Prints what the scenario returns.
// `node drive.mjs pictures URL '{"folder": "resources"}'` takes the README's pictures.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import * as scenarios from "./scenarios.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  "--host-resolver-rules=MAP pressrun.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
const WAIT_MS = 60_000;

/** A browser on the server at `url`, and what its pages did that they should not do. */
class Desk {
  constructor(browser, url) {
    Object.assign(this, { browser, url, trouble: [] });
  }

  /** A page of its own browsing session; `options` are Playwright's. */
  async page(options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    this.watch(page);
    return page;
  }

  /** Notes every request to elsewhere, error of the script and complaint on the console. */
  watch(page) {
    page.on("request", (request) => {
      // Other schemes are of the browser itself: Chromium's PDF viewer is made of them.
      const leaves = /^(http|ws)s?:/.test(request.url()) && !request.url().startsWith(`${this.url}/`);
      if (leaves) this.trouble.push(`a request to ${request.url()}`);
    });
    page.on("pageerror", (error) => this.trouble.push(`an error: ${error.stack}`));
    page.on("console", (message) => {
      // The browser says so of every refusal, which is the server's to give.
      const refusal = /^Failed to load resource: (the server responded with a status of 4\d\d|net::ERR_FAILED)/;
      if (message.type() === "error" && !refusal.test(message.text())) this.trouble.push(`on the console: ${message.text()}`);
    });
  }

  /** The page as it is once it has loaded its first template. */
  async open(options, hash = "") {
    const page = await this.page(options);
    await page.goto(`${this.url}/${hash}`);
    await page.waitForFunction(() => document.querySelector("#data").value !== "");
    return page;
  }

  /** What axe finds, as lines to read. */
  async axe(page) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => axe.run(document, { iframes: false }));
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}\n${node.failureSummary}`));
  }
}

const [name, url, given = "{}"] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
try {
  const desk = new Desk(browser, url);
  const result = await scenarios[name](desk, JSON.parse(given));
  assert.deepEqual(desk.trouble, []);
  console.log(JSON.stringify(result ?? null));
} finally {
  await browser.close();
}
