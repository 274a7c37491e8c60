// What a person does on the page. Each scenario is one test of test_page.py and gets a desk from drive.mjs.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";

// --- What all of them do ---

async function choose(page, template) {
  await page.selectOption("#template", template);
  await page.waitForSelector(`#data[data-template="${template}"]`);
}

/** Puts text into the editor, as if it had been pasted. */
async function paste(page, text) {
  await page.locator("#data").fill(text);
}

const data = (page) => page.locator("#data").inputValue();
const state = (page) => page.locator("#state").textContent();
const caretLine = (page) =>
  page.locator("#data").evaluate((it) => it.value.slice(0, it.selectionStart).split("\n").length);

async function submitAndWait(page, status) {
  const before = page.url();
  await page.click("#submit");
  await page.waitForURL((url) => url.href !== before);
  await page.waitForSelector(`#state[data-status="${status}"]`);
}

/** How many pixels of a picture are of the dark teal that only the invoice has. */
async function tealPixels(desk, picture) {
  const blank = await desk.page();
  return blank.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes]));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    canvas.drawImage(bitmap, 0, 0);
    const { data } = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (Math.hypot(data[at] - 0x0f, data[at + 1] - 0x4c, data[at + 2] - 0x5c) < 24) count += 1;
    }
    return count;
  }, picture.toString("base64"));
}

async function eventually(look, what) {
  const deadline = Date.now() + 30_000;
  for (let seen; ; ) {
    if ((seen = await look())) return seen;
    assert(Date.now() < deadline, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

// --- The report ---

export async function submit(desk, { folder }) {
  const page = await desk.open();
  await choose(page, "invoice");
  await page.evaluate(() => {
    window.told = [];
    const note = () => window.told.push(document.querySelector("#state").dataset.status);
    new MutationObserver(note).observe(document.querySelector("#state"), { childList: true });
  });
  await submitAndWait(page, "completed");
  const told = await page.evaluate(() => [...new Set(window.told)]);
  assert.deepEqual(told, ["queued", "running", "completed"]);
  assert.match(await state(page), /^invoice completed · 1 page · [\d.]+\u00a0kB · [\d.]+\u00a0m?s$/);

  const frame = page.locator("#sheet iframe");
  assert.match(await frame.getAttribute("src"), /^blob:/);
  await eventually(async () => (await tealPixels(desk, await frame.screenshot())) > 200, "the invoice in the frame");

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Download")]);
  await download.saveAs(`${folder}/report.pdf`);
  const id = page.url().split("#")[1];
  assert.equal(download.suggestedFilename(), `invoice-${id}.pdf`);
  await page.waitForSelector(`#jobs [data-id="${id}"][data-status="completed"] [aria-current]`);

  const again = await desk.open({}, `#${id}`);
  await again.waitForSelector("#sheet iframe");
  return { id };
}

export async function cutStream(desk) {
  const page = await desk.open();
  await choose(page, "letter");
  const asked = [];
  await page.route("**/events", async (route) => {
    const last = await route.request().headerValue("last-event-id");
    asked.push(last);
    if (asked.length > 1) return route.continue();
    const whole = await (await route.fetch()).text();
    const first = `${whole.split("\n\n").find((block) => block.includes("event: queued"))}\n\n`;
    await route.fulfill({ contentType: "text/event-stream", body: first });
  });
  await submitAndWait(page, "completed");
  assert.equal(asked[0], null);
  assert.equal(asked.length, 2);
  assert.ok(asked[1], "the second stream must begin after the last event of the first");
}

export async function noStream(desk) {
  const page = await desk.open();
  await choose(page, "letter");
  const polls = [];
  page.on("request", (request) => request.url().includes("?wait=") && polls.push(request.url()));
  await page.route("**/events", (route) => route.abort());
  await submitAndWait(page, "completed");
  assert.ok(polls.length > 0, "without a stream it must poll");
}

export async function lostAnswer(desk) {
  const page = await desk.open();
  await choose(page, "letter");
  const keys = [];
  await page.route("**/append_queue", async (route) => {
    keys.push(await route.request().headerValue("idempotency-key"));
    if (keys.length > 1) return route.continue();
    await route.fetch();
    await route.abort();
  });
  await page.click("#submit");
  await page.waitForSelector("#problem:has-text('did not answer')");
  await submitAndWait(page, "completed");
  await submitAndWait(page, "completed");
  await eventually(() => keys.length === 3, "three requests");
  assert.equal(keys[0], keys[1], "a repeated submission must have the first one's key");
  assert.notEqual(keys[1], keys[2], "a new submission must have a new key");
  await eventually(async () => (await page.locator('#jobs [data-status="completed"]').count()) === 2, "two jobs");
}

export async function plainHttp(desk) {
  desk.url = desk.url.replace("127.0.0.1", "pressrun.test");
  const page = await desk.open();
  assert.equal(await page.evaluate(() => isSecureContext), false);
  await choose(page, "letter");
  await submitAndWait(page, "completed");
  await page.waitForSelector("#sheet iframe");
}

export async function failure(desk, { template, mended }) {
  const page = await desk.open();
  await choose(page, "broken");
  await submitAndWait(page, "failed");
  const said = await page.locator("#sheet").innerText();
  assert.match(said, /The template has an error/);
  assert.match(await page.locator("#sheet pre").innerText(), /error: unknown variable: totl\n --> main\.typ:3:24\n/);
  await page.waitForSelector('#jobs [data-status="failed"] .why:has-text("The template has an error")');

  writeFileSync(template, mended);
  await page.click("text=Retry");
  await page.waitForSelector('#state[data-status="completed"]');
  await page.waitForSelector("#sheet iframe");
}

export async function listing(desk) {
  const page = await desk.open();
  const rows = page.locator("#jobs li");
  await eventually(async () => (await rows.count()) === 20, "the first page of jobs");
  await page.click("#more");
  await eventually(async () => (await rows.count()) === 23, "the second page of jobs");
  assert.equal(await page.locator("#more").isVisible(), false);
  const ids = await rows.evaluateAll((all) => all.map((row) => row.dataset.id));
  assert.deepEqual(ids, [...ids].sort().reverse(), "the newest first");

  await page.selectOption("#filter", "failed");
  await page.waitForSelector("#jobs-note:has-text('No jobs yet')");
  await page.selectOption("#filter", "completed");
  await eventually(async () => (await rows.count()) === 20, "the completed jobs");
  await rows.nth(3).locator("button").click();
  await page.waitForSelector("#sheet iframe");
  assert.equal(page.url().split("#")[1], ids[3]);
  await rows.nth(5).locator("button").click();
  await page.waitForFunction((id) => location.hash === `#${id}`, ids[5]);
  await page.goBack();
  await page.waitForSelector(`#jobs [data-id="${ids[3]}"] [aria-current]`);
}

// --- The editor ---

/** Texts that are not JSON, the line and column of the mistake, and a word of what is said of it. */
const MISTAKES = [
  ["", 1, 1, "ends"],
  ["{", 1, 2, "ends within an object"],
  ['{"a": 1', 1, 1, "no closing }"],
  ['{\n  "a": 1,\n}', 2, 9, "comma"],
  ["[1, 2,\n]", 1, 6, "comma"],
  ['{"a" 1}', 1, 6, "colon"],
  ['{"a": 1 "b": 2}', 1, 9, "comma or }"],
  ['[1\n  2]', 2, 3, "comma or ]"],
  ["{a: 1}", 1, 2, "double quotes"],
  ["['a']", 1, 2, "double quotes"],
  ['["ä😀", x]', 1, 8, "x is not a JSON value"],
  ['{"a": 01}', 1, 7, "01 is not"],
  ['{"a": .5}', 1, 7, ".5 is not"],
  ['["a\n"]', 1, 2, "closing quote"],
  ['["a\tb"]', 1, 4, "escaped"],
  ['["a\\x"]', 1, 4, "escape"],
  ['["\\u12g4"]', 1, 3, "escape"],
  ["[] []", 1, 4, "Nothing may follow"],
  ['{"a": }', 1, 7, "must be a value"],
  ["[".repeat(5000), 1, 1002, "too deeply"],
];

export async function mistakes(desk) {
  const page = await desk.open();
  const said = page.locator("#mistake");
  for (const [text, line, column, word] of MISTAKES) {
    await paste(page, text);
    const place = `Line ${line}, column ${column}:`;
    const seen = await eventually(async () => (await said.textContent()) || null, `a word on ${text.slice(0, 40)}`);
    await eventually(async () => (await said.textContent()).startsWith(place), `${place} for ${text.slice(0, 40)}, not ${seen}`);
    assert.ok((await said.textContent()).includes(word), `${text.slice(0, 40)}: ${await said.textContent()}`);
    await paste(page, '{"a": [1.50, -2e3, "\\u00e4\\n/", true, null, {}, []]}');
    await eventually(async () => (await said.textContent()) === "", "silence");
  }

  await paste(page, '{\n  "a": 1,\n  "b": nil\n}');
  await page.locator("#data").evaluate((it) => it.setSelectionRange(0, 0));
  await page.click("#submit");
  assert.equal(await caretLine(page), 3);
  assert.equal(await page.locator("#data").getAttribute("aria-invalid"), "true");
  assert.equal(await page.locator("#gutter mark").textContent(), "3");
}

export async function violations(desk) {
  const page = await desk.open();
  await choose(page, "invoice");
  const sample = await data(page);
  const broken = sample.replace('"currency": "GBP"', '"currency": 7').replace('"quantity": 43.5', '"quantity": "many"');
  assert.notEqual(broken, sample);
  await paste(page, broken);
  await page.click("#submit");
  await page.waitForSelector("#problem li");
  assert.match(await page.locator("#problem h3").textContent(), /does not fit the template/);
  const expected = ["7,", '"many"'].map((mark) => broken.slice(0, broken.indexOf(mark)).split("\n").length);
  const marked = await page.locator("#gutter mark").allTextContents();
  assert.deepEqual(marked.map(Number), expected);
  assert.ok(await page.locator("#problem button").first().evaluate((it) => it === document.activeElement));

  await page.click(`#problem button:has-text("Line ${expected[1]}")`);
  assert.equal(await caretLine(page), expected[1]);
  await paste(page, sample);
  await submitAndWait(page, "completed");
  assert.equal(await page.locator("#problem").isVisible(), false);
}

export async function drafts(desk) {
  const page = await desk.open();
  await choose(page, "letter");
  const sample = await data(page);
  assert.equal(await page.locator("#reset").isVisible(), false);
  await paste(page, '{"mine": 1.10}');
  await choose(page, "invoice");
  assert.match(await data(page), /KV-2026-0417/);
  await choose(page, "letter");
  assert.equal(await data(page), '{"mine": 1.10}');
  await page.click("#reset");
  assert.equal(await data(page), sample);
}

// --- Who may, and how ---

export async function token(desk, { token }) {
  const page = await desk.page();
  const give = async (text) => {
    await page.fill("#token", text);
    await page.click("text=Use it");
  };
  await page.goto(`${desk.url}/`);
  await page.waitForSelector("#token-dialog[open]");
  assert.ok(await page.locator("#token").evaluate((it) => it === document.activeElement));
  await page.keyboard.press("Escape");
  await page.waitForSelector("#problem:has-text('missing or not valid')");

  await page.click("#token-button");
  await give("wrong");
  await page.waitForSelector("#token-reason:has-text('does not know the token')");
  await give(token);
  await page.waitForFunction(() => document.querySelector("#data").value !== "");
  await choose(page, "letter");
  await submitAndWait(page, "completed");
  await page.waitForSelector("#sheet iframe");
  assert.equal(await page.locator("#problem").isVisible(), false);

  await page.reload();
  await page.waitForSelector("#sheet iframe");
  assert.equal(await page.locator("#token-dialog[open]").count(), 0);
  await page.click("#token-button");
  await page.click("#token-forget");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
}

const focused = (page) =>
  page.evaluate(() => {
    const it = document.activeElement;
    const ring = [it, it.parentElement].some((part) => getComputedStyle(part).outlineStyle !== "none");
    return { id: it.id, tag: it.tagName, text: it.textContent.trim(), ring };
  });

/** Presses Tab until the focus is where `wanted` says; each stop on the way must be visible. */
async function tabTo(page, wanted) {
  const seen = [];
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab");
    const stop = await focused(page);
    seen.push(stop.id || stop.text || stop.tag);
    if (stop.tag !== "IFRAME" && stop.tag !== "BODY") assert.ok(stop.ring, `no ring around ${seen.at(-1)}`);
    if (wanted(stop)) return;
  }
  assert.fail(`only ${seen.join(", ")} can be reached`);
}

export async function keyboard(desk) {
  const page = await desk.open();
  await tabTo(page, ({ id }) => id === "template");
  await page.keyboard.type("let");
  await page.waitForSelector('#data[data-template="letter"]');
  await tabTo(page, ({ id }) => id === "data");
  await page.keyboard.press("Tab");
  assert.notEqual((await focused(page)).id, "data", "Tab must pass the editor as long as nothing is edited");
  await page.keyboard.press("Shift+Tab");

  await page.keyboard.press("Control+Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.match(await data(page), /^\{\n {4}\n {2}"locale"/);
  await page.keyboard.press("Shift+Tab");
  assert.match(await data(page), /^\{\n {2}\n {2}"locale"/);
  await page.keyboard.press("Control+z");
  assert.match(await data(page), /^\{\n {4}\n/, "what Tab did can be undone");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  assert.notEqual((await focused(page)).id, "data", "Escape, then Tab, must leave the editor");

  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Control+Enter");
  await page.waitForSelector('#state[data-status="completed"]');
  await tabTo(page, ({ text }) => text === "Download");
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  assert.match(download.suggestedFilename(), /^letter-/);
  await tabTo(page, ({ text }) => text.startsWith("letter completed"));
  await page.keyboard.press("Enter");
  await page.waitForSelector('#state[data-status="completed"]');
}

export async function phone(desk) {
  const page = await desk.open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  const fits = async (when) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `${width} pixels wide ${when}`);
  };
  await choose(page, "invoice");
  await fits("at first");
  await page.tap("#submit");
  await page.waitForSelector("#sheet .cover");
  await fits("with a report");
  assert.equal(await page.locator("iframe").count(), 0);
  const { top } = await page.locator("#report").evaluate((it) => it.getBoundingClientRect().toJSON());
  assert.ok(top >= 0 && top < 370, `the report is ${top} pixels from the top`);
  assert.match(await page.locator("#sheet .cover").getAttribute("href"), /^blob:/);
  assert.deepEqual(await desk.axe(page), []);

  await paste(page, '{"currency": 7}');
  await page.tap("#submit");
  await page.waitForSelector("#problem li");
  await fits("with violations");
  const small = await page.locator("button:visible, select:visible, summary:visible").evaluateAll((all) =>
    all.filter((it) => it.getBoundingClientRect().height < 24).map((it) => it.textContent),
  );
  assert.deepEqual(small, [], "too small for a finger");
}

export async function axe(desk, { colorScheme, token }) {
  const found = {};
  const page = await desk.page({ colorScheme });
  await page.goto(`${desk.url}/`);
  await page.waitForSelector("#token-dialog[open]");
  found.token = await desk.axe(page);
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#data").value !== "");
  await choose(page, "letter");
  found.start = await desk.axe(page);
  await page.click("summary");
  found.schema = await desk.axe(page);
  await submitAndWait(page, "completed");
  await page.waitForSelector("#sheet iframe");
  found.completed = await desk.axe(page);
  await paste(page, '{"date": 7}');
  await page.click("#submit");
  await page.waitForSelector("#problem li");
  found.violations = await desk.axe(page);
  await paste(page, '{"date": 7');
  await page.waitForFunction(() => document.querySelector("#mistake").textContent !== "");
  found.mistake = await desk.axe(page);
  await choose(page, "broken");
  await submitAndWait(page, "failed");
  await page.waitForSelector("#jobs .why:not(:empty)");
  found.failed = await desk.axe(page);
  return found;
}

export async function policy(desk) {
  const page = await desk.open();
  const inline = (text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
  };
  await page.evaluate(inline, "window.ran = true");
  assert.equal(await page.evaluate(() => window.ran), undefined, "an inline script must not run");
  const noted = await eventually(() => desk.trouble.splice(0).join(), "a word on the console");
  assert.match(noted, /Content Security Policy/);

  await page.evaluate(() => fetch("http://127.0.0.2:9/").catch(() => {}));
  const refused = await eventually(() => desk.trouble.splice(0).join(), "a word on the console");
  assert.match(refused, /Content Security Policy/);
}

// --- Pictures ---

export async function pictures(desk, { folder }) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await desk.open({ colorScheme });
    for (const template of ["letter", "statement", "invoice"]) {
      await choose(page, template);
      await submitAndWait(page, "completed");
      await page.waitForSelector("#sheet iframe");
    }
    await page.mouse.move(640, 10);
    const frame = page.locator("#sheet iframe");
    await eventually(async () => (await tealPixels(desk, await frame.screenshot())) > 200, "the invoice");
    await page.evaluate(() => document.activeElement.blur());
    await page.screenshot({ path: `${folder}/page-${colorScheme}.png` });
  }
}
