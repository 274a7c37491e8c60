// The page's behaviour: calls to the server, a job's events, JSON with places, and what is shown of them.

const $ = (id) => document.getElementById(id);

/** A new element with these properties or attributes, and children. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// --- Calls ---

const SILENCE_MS = 60_000;
const LONGEST_PAUSE_MS = 10_000;
const STREAM_TRIES = 3;

/** What the server answered instead of what was asked for; `status` is 0 where it did not answer. */
class Problem extends Error {
  constructor({ title, detail = "", status = 0, errors = [] }) {
    super(title);
    Object.assign(this, { title, detail, status, errors });
  }

  /** Whether the same call may work later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  static async of(response) {
    const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
    const told = isProblem ? await response.json().catch(() => null) : null;
    return new Problem({ title: `The server returned ${response.status}.`, ...told, status: response.status });
  }
}

/** The title and detail of whatever went wrong. */
function words(error) {
  return error instanceof Problem ? [error.title, error.detail] : ["This page made a mistake.", String(error)];
}

/** Calls the server with the token, if there is one, and asks for it when the server does. */
async function call(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem("token");
    const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(path, { ...options, headers }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Problem({ title: "The server did not answer.", detail: "Check that it is running, then try again." });
    });
    if (response.ok) return response;
    const problem = await Problem.of(response);
    if (problem.status !== 401) throw problem;
    const another = sessionStorage.getItem("token") !== token;
    if (!another && !(await askForToken(token ? problem.detail : ASKED))) throw problem;
  }
}

const getJson = async (path, options) => (await call(path, options)).json();

const ASKED = "This server asks for a token.";
let asking = null;

/** Whether the reader gave a token; calls that ask at the same time share one dialog. */
function askForToken(reason) {
  asking ??= new Promise((resolve) => {
    $("token-reason").textContent = reason;
    $("token-forget").hidden = !sessionStorage.getItem("token");
    $("token").value = "";
    $("token-dialog").returnValue = "";
    $("token-dialog").showModal();
    $("token-dialog").addEventListener("close", () => resolve($("token-dialog").returnValue === "use"), { once: true });
  }).finally(() => {
    asking = null;
    $("token-button").hidden = false;
  });
  return asking;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// --- A job's events ---

const hasEnded = (job) => job.status === "completed" || job.status === "failed";

/** One event of a `text/event-stream`: its fields by name. */
function parseEvent(block) {
  const event = {};
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field) event[field] = field === "data" && event.data ? `${event.data}\n${value}` : value;
  }
  return event;
}

/** The events of a `text/event-stream`; ends when the stream does, or falls silent. */
async function* readEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), pause(SILENCE_MS).then(() => ({ done: true }))]);
      if (done) return;
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      yield* blocks.map(parseEvent).filter((event) => event.data);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The job as it changes, until it has ended: from its event stream, or by long polling where there is none. */
async function* follow(id, signal) {
  let last = "";
  for (let misses = 0; misses < STREAM_TRIES; misses++) {
    try {
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await call(`jobs/${id}/events`, { headers, signal });
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) break;
      for await (const event of readEvents(response.body)) {
        misses = 0;
        last = event.id ?? last;
        const job = JSON.parse(event.data);
        yield job;
        if (hasEnded(job)) return;
      }
    } catch (error) {
      if (signal.aborted || error.status === 401) throw error;
      if (error instanceof Problem && !error.passing) break;
    }
    await pause(500 * 2 ** misses);
  }
  yield* poll(id, signal);
}

async function* poll(id, signal) {
  for (let misses = 0; ; ) {
    try {
      const job = await getJson(`jobs/${id}?wait=30`, { signal });
      misses = 0;
      yield job;
      if (hasEnded(job)) return;
    } catch (error) {
      if (signal.aborted || (error instanceof Problem && !error.passing)) throw error;
      misses += 1;
    }
    await pause(Math.min(500 * 2 ** misses, LONGEST_PAUSE_MS));
  }
}

// --- JSON with places ---

/** Reads a JSON text only to learn where its values stand, and where it is not JSON. */
class Scanner {
  static DEEPEST = 1000;

  constructor(text) {
    Object.assign(this, { text, at: 0, places: new Map() });
  }

  /** The first spot that is not JSON, as `{offset, message}`. */
  static mistake(text) {
    try {
      new Scanner(text).whole();
      return null;
    } catch (error) {
      if (error.offset === undefined) throw error;
      return error;
    }
  }

  /** Where the value at each JSON Pointer begins, or the nearest one around it. */
  static find(text, pointers) {
    const scanner = new Scanner(text);
    try {
      scanner.whole();
    } catch {
      // What was read until the mistake has its place all the same.
    }
    return pointers.map((pointer) => {
      let path = pointer;
      while (path && !scanner.places.has(path)) path = path.slice(0, path.lastIndexOf("/"));
      return scanner.places.get(path) ?? 0;
    });
  }

  fail(message, offset = this.at) {
    throw { offset, message };
  }

  /** The next character that is not blank. */
  peek() {
    while (" \t\n\r".includes(this.text[this.at] ?? "end")) this.at += 1;
    return this.text[this.at];
  }

  whole() {
    this.value("", 0);
    if (this.peek() !== undefined) this.fail("Nothing may follow the value that ends before this.");
  }

  value(pointer, depth) {
    const next = this.peek();
    this.places.set(pointer, this.at);
    if (depth > Scanner.DEEPEST) this.fail("This is nested too deeply.");
    if (next === "{") this.members(pointer, depth, "}", () => this.name());
    else if (next === "[") this.members(pointer, depth, "]", (index) => index);
    else if (next === '"') this.string();
    else this.scalar(next);
  }

  /** What an object or array holds; `label` reads what comes before each value, and gives its part of the pointer. */
  members(pointer, depth, end, label) {
    const start = this.at++;
    if (this.peek() === end) return void (this.at += 1);
    for (let index = 0; ; index++) {
      const key = String(label(index)).replaceAll("~", "~0").replaceAll("/", "~1");
      this.value(`${pointer}/${key}`, depth + 1);
      const next = this.peek();
      if (next === undefined) this.fail(`This has no closing ${end}`, start);
      if (next !== end && next !== ",") this.fail(`There must be a comma or ${end} before this.`);
      const comma = this.at++;
      if (next === end) return;
      if (this.peek() === end) this.fail(`Take out this comma: ${end} follows.`, comma);
    }
  }

  name() {
    const next = this.peek();
    if (next === undefined) this.fail("The text ends within an object.");
    if (next !== '"') this.fail("Here must be a name in double quotes.");
    const name = this.string();
    if (this.peek() !== ":") this.fail("Here must be the colon after the name.");
    this.at += 1;
    return name;
  }

  string() {
    const start = this.at;
    for (this.at += 1; this.text[this.at] !== '"'; this.at++) {
      const char = this.text[this.at];
      if (char === undefined || char === "\n") this.fail("This string has no closing quote.", start);
      if (char < " ") this.fail("A tab or another control character in a string must be escaped.");
      if (char !== "\\") continue;
      const [escape] = /^\\(["\\/bfnrt]|u[\da-f]{4})?/i.exec(this.text.slice(this.at, this.at + 6));
      if (escape.length === 1) this.fail("JSON knows no such escape. A backslash is written \\\\.");
      this.at += escape.length - 1;
    }
    this.at += 1;
    return JSON.parse(this.text.slice(start, this.at));
  }

  scalar(next) {
    if (next === undefined) this.fail("The text ends where a value is missing.");
    if (next === "'") this.fail("Strings stand in double quotes.");
    const literal = /[^\s,:\]}[{"]*/y;
    literal.lastIndex = this.at;
    const [word] = literal.exec(this.text);
    const good = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/;
    if (!good.test(word)) this.fail(word ? `${shortened(word)} is not a JSON value.` : "Here must be a value.");
    this.at += word.length;
  }
}

const shortened = (text) => (text.length > 24 ? `${text.slice(0, 24)} …` : text);

/** The line and column of an offset, both from 1; columns count characters. */
function lineAndColumn(text, offset) {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: [...before.slice(before.lastIndexOf("\n") + 1)].length + 1 };
}

/** JSON as a person would write it: what fits on a line stays on one. */
function pretty(value, indent = "") {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const isList = Array.isArray(value);
  const inner = `${indent}  `;
  const label = (key) => (isList ? "" : `${JSON.stringify(key)}: `);
  const parts = Object.entries(value).map(([key, part]) => label(key) + pretty(part, inner));
  const [open, close] = isList ? ["[", "]"] : ["{ ", " }"];
  if (!parts.length) return open.trim() + close.trim();
  const line = open + parts.join(", ") + close;
  if (indent.length + line.length <= 64 && !line.includes("\n") && indent) return line;
  return `${open.trim()}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close.trim()}`;
}

// --- The editor ---

const data = $("data");
const CHECK_AFTER_MS = 250;
let violations = [];
let tabIndents = false;
let checking = 0;

/** Types text where the caret is, so that the browser can undo it. */
function type(text) {
  if (!document.execCommand(text ? "insertText" : "delete", false, text)) {
    data.setRangeText(text, data.selectionStart, data.selectionEnd, "end");
    edited();
  }
}

/** Indents the selected lines by two blanks, or takes two away. */
function indent(outwards) {
  const { selectionStart, selectionEnd, value } = data;
  if (!outwards && selectionStart === selectionEnd) return type("  ");
  const start = value.lastIndexOf("\n", selectionStart - 1) + 1;
  const lines = value.slice(start, selectionEnd);
  const moved = outwards ? lines.replace(/^ {1,2}/gm, "") : lines.replace(/^(?=.)/gm, "  ");
  if (moved === lines) return;
  data.setSelectionRange(start, selectionEnd);
  type(moved);
  data.setSelectionRange(start, start + moved.length);
}

function newLine() {
  const before = data.value.slice(0, data.selectionStart);
  const [margin] = /^ */.exec(before.slice(before.lastIndexOf("\n") + 1));
  type(`\n${margin}${/[[{]\s*$/.test(before) ? "  " : ""}`);
}

function onKey(event) {
  if (event.isComposing) return;
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "Escape") tabIndents = false;
  else if (event.key === "Tab" && plain && tabIndents) indent(event.shiftKey);
  else if (event.key === "Enter" && plain && !event.shiftKey) newLine();
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
  else return;
  if (event.key !== "Escape") event.preventDefault();
}

function edited() {
  clearTimeout(checking);
  checking = setTimeout(check, CHECK_AFTER_MS);
  $("reset").hidden = data.value === samples.get($("template").value)?.text;
  number();
}

/** The first spot at which the data is not JSON, with its line and column. */
function mistakeIn(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const { offset, message } = Scanner.mistake(text) ?? { offset: 0, message: error.message };
    return { offset, message, ...lineAndColumn(text, offset) };
  }
}

/** Says whether the data is JSON, and where not. */
function check() {
  const mistake = mistakeIn(data.value);
  data.setAttribute("aria-invalid", String(Boolean(mistake || violations.length)));
  const said = mistake ? `Line ${mistake.line}, column ${mistake.column}: ${mistake.message}` : "";
  if ($("mistake").textContent !== said) $("mistake").textContent = said;
  number(new Set([mistake?.line, ...violatedLines()]));
  return mistake;
}

function violatedLines() {
  if (!violations.length) return [];
  const offsets = Scanner.find(data.value, violations.map(({ pointer }) => pointer));
  return offsets.map((offset) => lineAndColumn(data.value, offset).line);
}

let marked = new Set();
let numbered = "";

/** Writes the line numbers, those of these lines in red. */
function number(lines = marked) {
  marked = lines;
  const count = data.value.split("\n").length;
  const wanted = `${count}:${[...marked].join()}`;
  if (wanted === numbered) return;
  numbered = wanted;
  const parts = [""];
  for (let line = 1; line <= count; line++) {
    if (marked.has(line)) parts.push(element("mark", {}, String(line)), "\n");
    else parts.push(`${parts.pop()}${line}\n`);
  }
  $("gutter").replaceChildren(...parts);
  $("gutter").scrollTop = data.scrollTop;
}

/** Puts the caret at an offset of the data, in sight. */
function goTo(offset) {
  const { line } = lineAndColumn(data.value, offset);
  data.focus();
  data.setSelectionRange(offset, offset);
  const lineHeight = data.scrollHeight / data.value.split("\n").length;
  data.scrollTop = Math.max(0, (line - 1) * lineHeight - data.clientHeight / 3);
  data.scrollLeft = 0;
}

/** Shows why the server did not take the data, each violation with the way to its place. */
function showProblem(problem) {
  $("problem").hidden = !problem;
  const errors = problem?.errors ?? [];
  violations = errors.map(({ pointer, detail }) => ({ pointer: pointer.replace(/^\/data/, ""), detail }));
  const lines = violatedLines();
  const items = violations.map((violation, index) => violationItem(violation, lines[index]));
  const [title, detail] = problem ? words(problem) : [];
  const rest = items.length ? element("ol", {}, ...items) : element("p", {}, detail ?? "");
  $("problem").replaceChildren(element("h3", {}, title ?? ""), rest);
  check();
}

function violationItem({ pointer, detail }, line) {
  const place = [element("b", {}, `Line ${line}`), " ", element("code", {}, pointer || "/")];
  const go = element("button", { type: "button" }, ...place);
  go.addEventListener("click", () => goTo(Scanner.find(data.value, [pointer])[0]));
  return element("li", {}, go, " ", detail);
}

// --- Composing ---

/** By template: its sample as text, the reader's draft, and what its schema says. */
const samples = new Map();
let chosen = "";

async function loadTemplates() {
  const { templates } = await getJson("templates");
  $("template").replaceChildren(...templates.map((name) => element("option", { selected: name === chosen }, name)));
  if (templates.length) await choose();
  else showProblem(new Problem({ title: "There is no template.", detail: "Put one into the templates folder." }));
}

async function choose() {
  const name = $("template").value;
  if (samples.has(chosen)) samples.get(chosen).draft = data.value;
  if (!samples.has(name)) {
    const { sample, schema } = await getJson(`templates/${encodeURIComponent(name)}`);
    const text = sample === null || sample === undefined ? "{}" : pretty(sample);
    samples.set(name, { text, draft: text, schema });
  }
  if ($("template").value !== name) return;
  chosen = data.dataset.template = name;
  const { draft, schema } = samples.get(name);
  $("description").textContent = schema?.description ?? "";
  $("schema").hidden = !schema;
  $("schema").lastElementChild.textContent = JSON.stringify(schema, null, 2);
  fill(draft);
}

function fill(text) {
  data.value = text;
  data.setSelectionRange(0, 0);
  data.scrollTop = 0;
  edited();
  showProblem(null);
}

/** The request that was sent last and not answered, so that sending it again is the same submission. */
let unanswered = null;
let submitting = false;

/** A key that no other submission has; `randomUUID` is there over HTTPS and on this machine only. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return crypto.randomUUID?.() ?? Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function submit() {
  const mistake = check();
  if (mistake) return goTo(mistake.offset);
  if (submitting) return;
  submitting = true;
  $("submit").setAttribute("aria-busy", "true");
  // The text itself is sent, because parsing would round its numbers.
  const body = `{"template": ${JSON.stringify(chosen)}, "data": ${data.value}}`;
  if (unanswered?.body !== body) unanswered = { body, key: newKey() };
  try {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": `"${unanswered.key}"` };
    const job = await getJson("append_queue", { method: "POST", headers, body });
    unanswered = null;
    showProblem(null);
    openJob(job);
    reveal();
    listJobs();
  } catch (problem) {
    if (!problem.passing) unanswered = null;
    showProblem(problem);
    $("problem").querySelector("button")?.focus();
  } finally {
    submitting = false;
    $("submit").removeAttribute("aria-busy");
  }
}

/** Brings the report into sight where it stands below the editor. */
function reveal() {
  const { top } = $("report").getBoundingClientRect();
  if (top < innerHeight / 2) return;
  $("report").focus({ preventScroll: true });
  $("report").scrollIntoView();
}

// --- The report ---

const STEPS = [
  ["queued", (job) => job.enqueued_at],
  ["running", (job) => job.started_at],
  ["completed", (job) => job.finished_at],
];

let shown = null;
let following = new AbortController();

/** Shows a job, follows it to its end, and shows what came of it. */
async function openJob(job) {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  if (location.hash !== `#${job.id}`) history.pushState(null, "", `#${job.id}`);
  clearReport();
  try {
    if (!job.status) job = await getJson(`jobs/${job.id}`, { signal });
    show(job);
    if (!hasEnded(job)) {
      for await (const next of follow(job.id, signal)) {
        if (signal.aborted) return;
        show((job = next));
      }
      listJobs();
    }
    if (job.status === "completed") await showReport(job, signal);
  } catch (error) {
    if (!signal.aborted) showTrouble(error);
  }
}

function clearReport() {
  if (shown?.url) URL.revokeObjectURL(shown.url);
  shown = null;
  $("sheet").replaceChildren();
  $("actions").replaceChildren();
  $("state").textContent = "";
  $("steps").hidden = true;
  showWarnings([]);
  document.title = "Pressrun";
}

function show(job) {
  shown = { job };
  $("state").dataset.status = job.status;
  $("state").textContent = [`${job.template} ${stateOf(job)}`, ...facts(job)].join(" · ");
  document.title = `${job.template} ${job.status} – Pressrun`;
  $("steps").hidden = false;
  $("steps").replaceChildren(...STEPS.map(([status, time], index) => step(job, status, time(job), index)));
  showWarnings(job.warnings ?? []);
  if (job.status === "failed") showFailure(job);
  else if (!$("sheet").querySelector(".rollers")) $("sheet").replaceChildren(element("div", { className: "rollers" }));
  $("sheet").querySelector(".far")?.remove();
  if (job.progress) $("sheet").append(progressOf(job.progress));
  renderRow(job);
}

/** How far a run is that typesets in sections. */
function progressOf({ sections_done: done, sections, pages }) {
  const label = `${pages.toLocaleString()} pages, section ${done.toLocaleString()} of ${sections.toLocaleString()}`;
  const bar = element("progress", { max: sections, value: done, "aria-label": "Sections done" });
  return element("div", { className: "far" }, bar, element("p", {}, label));
}

function step(job, status, time, index) {
  const reached = job.status === "failed" ? STEPS.length - 1 : STEPS.findIndex(([name]) => name === job.status);
  const name = index === reached ? job.status : status;
  const passed = index <= reached && time;
  const item = element("li", {}, element("span", {}, name), " ", passed ? clock(time) : "");
  item.dataset.reached = index === reached ? name : passed ? "past" : "";
  if (index === reached) item.setAttribute("aria-current", "step");
  return item;
}

function showFailure(job) {
  const { title = "The job failed.", detail = "", diagnostics = [], errors = [] } = job.error ?? {};
  const rendered = diagnostics.map((it) => it.rendered || it.message);
  const pre = { tabIndex: 0, role: "region", "aria-label": "What Typst says" };
  const blocks = rendered.length ? [element("pre", pre, rendered.join("\n\n"))] : [];
  const violations = errors.map((it) => element("li", {}, violation(it)));
  if (violations.length) blocks.push(element("ul", {}, ...violations));
  const told = [element("h3", {}, title), element("p", {}, detail), ...blocks];
  $("sheet").replaceChildren(element("div", { className: "failure" }, ...told));
  const again = element("button", { type: "button" }, "Retry");
  again.addEventListener("click", () => retry(job, again));
  $("actions").replaceChildren(again);
}

/** What is in doubt about a finished report. */
function showWarnings(warnings) {
  const box = $("warnings");
  box.hidden = !warnings.length;
  box.firstElementChild.textContent = counted(warnings.length, "warning");
  box.lastElementChild.replaceChildren(...warnings.map(warningItem));
}

function warningItem({ code, pointer, page, character, code_point: codePoint, count, message }) {
  const place = [pointer !== undefined && (pointer ? element("code", {}, pointer) : "in the data"), page && `page ${page.toLocaleString("en")}`];
  const what = character && element("span", {}, element("bdi", {}, `“${character}”`), ` (${codePoint})`);
  const known = [...place, what, count > 1 && `${count.toLocaleString("en")} times`].filter(Boolean);
  const parts = known.flatMap((part, index) => (index ? [", ", part] : [part]));
  return element("li", {}, ...parts, ...(known.length ? [": "] : []), `${message} `, element("code", { class: "code" }, code));
}

const counted = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

/** One place where an upload does not fit, in words. */
function violation({ line, column, pointer, detail }) {
  const place = [line && `line ${line}`, column && `column ${column}`].filter(Boolean).join(", ");
  return `${place ? `${place}, ` : ""}${pointer ? `at ${pointer}` : "in the data"}: ${detail}`;
}

async function retry(job, button) {
  button.disabled = true;
  try {
    const queued = await getJson(`jobs/${job.id}/retry`, { method: "POST" });
    $("report").focus({ preventScroll: true });
    openJob(queued);
    listJobs();
  } catch (problem) {
    button.disabled = false;
    $("sheet").append(note(problem));
  }
}

/** Fetches the report and puts it on the sheet, or a link to it where a frame would be too small or stay empty. */
async function showReport(job, signal) {
  const bytes = await (await call(`jobs/${job.id}/report`, { signal })).arrayBuffer();
  if (signal.aborted) return;
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/pdf" }));
  shown.url = url;
  const name = `${job.template}-${job.id}.pdf`;
  const download = element("a", { href: url, download: name, className: "button" }, "Download");
  const view = element("a", { href: url, target: "_blank" }, "Open");
  if (navigator.pdfViewerEnabled && matchMedia("(min-width: 44rem)").matches) {
    const title = `The report: ${[job.template, ...facts(job)].join(", ")}`;
    $("actions").replaceChildren(view, download);
    $("sheet").replaceChildren(element("iframe", { title, src: `${url}#toolbar=0&navpanes=0&view=FitH` }));
  } else {
    view.className = "cover";
    view.append(` the ${job.template}`);
    $("actions").replaceChildren(download);
    $("sheet").replaceChildren(view, element("p", { className: "note" }, facts(job).join(", ")));
  }
}

function showTrouble(error) {
  $("sheet").replaceChildren(note(error));
  if (!shown) return;
  const again = element("button", { type: "button" }, "Try again");
  const { job } = shown;
  again.addEventListener("click", () => openJob({ id: job.id }));
  $("actions").replaceChildren(again);
}

const note = (problem) => {
  const [title, detail] = words(problem);
  return element("div", { className: "failure", role: "alert" }, element("h3", {}, title), element("p", {}, detail));
};

// --- Recent jobs ---

const PAGE = 20;
const REFRESH_MS = 3_000;
let next = null;
let listings = 0;

async function listJobs(cursor) {
  const query = new URLSearchParams({ limit: PAGE });
  if ($("filter").value) query.set("status", $("filter").value);
  if (cursor) query.set("cursor", cursor);
  const listing = ++listings;
  try {
    const page = await getJson(`jobs?${query}`);
    if (listing !== listings) return;
    if (!cursor) $("jobs").replaceChildren();
    for (const job of page.jobs) $("jobs").append(row(job));
    next = page.next;
    say($("jobs").children.length ? "" : "No jobs yet.");
  } catch (problem) {
    if (listing !== listings) return;
    say(words(problem).join(" "));
  }
  $("more").hidden = !next;
}

function say(text) {
  $("jobs-note").textContent = text;
  $("jobs-note").hidden = !text;
}

function row(job) {
  const why = job.error?.title ?? "";
  const parts = { name: job.template, state: stateOf(job), facts: facts(job).join(" · "), why };
  const spans = Object.entries(parts).flatMap(([className, text]) => [element("span", { className }, text), " "]);
  const button = element("button", { type: "button" }, ...spans, clock(job.enqueued_at));
  button.addEventListener("click", () => (openJob(job), reveal()));
  if (job.id === location.hash.slice(1)) button.setAttribute("aria-current", "true");
  const item = element("li", {}, button);
  Object.assign(item.dataset, { id: job.id, status: job.status });
  return item;
}

/** Puts a job that changed in the place of its row, with the focus if it had it, and marks it as the one shown. */
function renderRow(job) {
  for (const other of $("jobs").querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  const old = $("jobs").querySelector(`[data-id="${job.id}"]`);
  if (!old) return;
  const focused = old.contains(document.activeElement);
  const changed = row(job);
  old.replaceWith(changed);
  if (focused) changed.firstElementChild.focus();
}

function stateOf({ status, attempts }) {
  return status === "running" && attempts > 1 ? `running, attempt ${attempts}` : status;
}

/** What there is to know of a finished job: pages, size, time it took, warnings, and who was not told. */
function facts(job) {
  const list = [];
  if (job.pages !== undefined) list.push(counted(job.pages, "page"));
  if (job.bytes !== undefined) list.push(size(job.bytes));
  if (job.started_at && job.finished_at) list.push(span(new Date(job.finished_at) - new Date(job.started_at)));
  if (job.warnings?.length) list.push(counted(job.warnings.length, "warning"));
  for (const [what, delivery] of [["webhook", job.webhook], [job.announcement?.channel, job.announcement]]) {
    if (delivery?.attempts && delivery.status !== "delivered") list.push(`${what} ${delivery.status}`);
  }
  return list;
}

function size(bytes) {
  const [amount, unit] = bytes < 999_500 ? [bytes / 1e3, "kB"] : [bytes / 1e6, "MB"];
  return `${amount.toLocaleString("en", { maximumSignificantDigits: 3 })}\u00a0${unit}`;
}

function span(ms) {
  if (ms < 1000) return `${ms}\u00a0ms`;
  if (ms < 60_000) return `${(ms / 1000).toLocaleString("en", { maximumSignificantDigits: 2 })}\u00a0s`;
  return `${Math.round(ms / 60_000)}\u00a0min`;
}

/** The time of day; with the date, if that is not today. */
function clock(time) {
  const moment = new Date(time);
  const today = moment.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  return element("time", { dateTime: time }, moment.toLocaleString("en-GB", style));
}

// --- The token ---

function endTokenDialog(answer) {
  $("token-dialog").close(answer);
}

async function changeToken() {
  const kept = sessionStorage.getItem("token");
  if (await askForToken(kept ? "Replace the token that is kept, or forget it." : ASKED)) start();
}

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  endTokenDialog("use");
});
$("token-cancel").addEventListener("click", () => endTokenDialog(""));
$("token-forget").addEventListener("click", () => {
  sessionStorage.removeItem("token");
  endTokenDialog("");
});
$("token-button").addEventListener("click", changeToken);

// --- The beginning ---

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
$("template").addEventListener("change", () => choose().catch(showProblem));
$("reset").addEventListener("click", () => {
  fill(samples.get(chosen).text);
  data.focus();
});
data.addEventListener("keydown", onKey);
data.addEventListener("input", () => {
  tabIndents = true;
  edited();
});
data.addEventListener("pointerdown", () => (tabIndents = true));
data.addEventListener("blur", () => (tabIndents = false));
data.addEventListener("scroll", () => ($("gutter").scrollTop = data.scrollTop));
$("filter").addEventListener("change", () => listJobs());
$("more").addEventListener("click", () => listJobs(next));
addEventListener("popstate", openAddressed);
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, REFRESH_MS);

/** Lists the jobs anew while one of them is on its way, unless a person looks at earlier ones. */
function refresh() {
  const jobs = $("jobs");
  const open = jobs.querySelector('[data-status="queued"], [data-status="running"]');
  const read = jobs.contains(document.activeElement) || jobs.children.length > PAGE;
  if (open && !document.hidden && !asking && !read) listJobs();
}

/** Opens the job that the address names. */
function openAddressed() {
  const id = location.hash.slice(1);
  if (/^[\da-f-]{36}$/.test(id)) openJob({ id });
  else if (shown) clearReport();
}

function start() {
  $("token-button").hidden = !sessionStorage.getItem("token");
  loadTemplates().catch(showProblem);
  listJobs();
  openAddressed();
}

start();
