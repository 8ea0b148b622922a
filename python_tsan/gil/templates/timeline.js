"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
document.getElementById("data").remove(); // tens of megabytes of text that nobody needs any more
const NOBODY = 0xffff;
// One colour for each phase, in the order of the phases.
const LOST = "#00b8d9"; // a wait with the GIL held
const colours = ["#2a9d8f", "#8ab17d", "#d62f8e", "#e9a23b", "#c8742a", "#8d5ac2", "#5a6acf", "#7b8794", "#d9480f", "#a61e4d", "#111827", "#b8bec9"];
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
if (dark) colours[10] = "#f1f3f5";
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const $ = id => document.getElementById(id);
const canvas = $("canvas"), context = canvas.getContext("2d"), tip = $("tip");
const GUTTER = 150, ROW = 16, HEAD = 26;
let current, first = 0, last = 1, matches = null, matchAt = -1, pending = false;

function unpack(text, Type) {
  if (Uint8Array.fromBase64) return new Type(Uint8Array.fromBase64(text).buffer);
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Type(bytes.buffer);
}

function load(index) {
  const from = data.processes[index];
  const one = current = { names: from.names, sites: from.sites, imports: from.imports, waits: from.waits, lost: from.lost, pid: from.pid };
  for (const [key, Type] of [["start", Float64Array], ["away", Float32Array], ["wait", Float32Array], ["thread", Uint16Array],
                             ["phase", Uint8Array], ["site", Uint16Array], ["module", Uint16Array], ["next", Uint16Array]])
    one[key] = unpack(from[key], Type);
  one.held = { thread: unpack(from.held.thread, Uint16Array), start: unpack(from.held.start, Float64Array), length: unpack(from.held.length, Float32Array) };
  one.end = 1;
  for (let i = 0; i < one.start.length; i++) one.end = Math.max(one.end, one.start[i] + one.away[i]);
  for (let i = 0; i < one.held.start.length; i++) one.end = Math.max(one.end, one.held.start[i] + one.held.length[i]);
  one.lanes = new Map();
  for (const [ordinal, name] of Object.entries(from.threads)) one.lanes.set(+ordinal, { name, releases: [], imports: [], lost: [], depth: 0 });
  const lane = ordinal => one.lanes.get(ordinal) || one.lanes.set(ordinal, { name: "thread " + ordinal, releases: [], imports: [], lost: [], depth: 0 }).get(ordinal);
  for (let i = 0; i < one.start.length; i++) lane(one.thread[i]).releases.push(i);
  for (const wait of one.lost) { lane(wait[0]).lost.push(wait); one.end = Math.max(one.end, wait[1] + wait[2]); }
  for (const span of one.imports) { const l = lane(span[0]); l.imports.push(span); l.depth = Math.max(l.depth, span[3] + 1); }
  let top = HEAD + ROW + 14;
  for (const l of one.lanes.values()) { l.top = top; l.bar = top + l.depth * ROW; l.bottom = l.bar + ROW + 10; top = l.bottom; }
  one.height = top + 10;
  search();
  showAll();
}

function showAll() { first = 0; last = current.end; draw(); }
// Asking the canvas for its width a million times would take seconds.
let wide = 1, scale = 1;
const x = time => GUTTER + (time - first) * scale;
const time = px => first + (px - GUTTER) / scale;
function micros(value) {
  if (value >= 1e6) return (value / 1e6).toFixed(3) + " s";
  if (value >= 1e3) return (value / 1e3).toFixed(2) + " ms";
  return value.toFixed(value < 10 ? 2 : 1) + " µs";
}

function draw() { if (!pending) { pending = true; requestAnimationFrame(paint); } }

function paint() {
  pending = false;
  // Read by the bench: when the first picture was there, in milliseconds since the page was asked for.
  const root = document.documentElement.dataset;
  if (!root.painted) setTimeout(() => root.painted = Math.round(performance.now()));
  const ratio = devicePixelRatio || 1, width = $("view").clientWidth;
  wide = width; scale = (width - GUTTER - 8) / (last - first);
  canvas.style.height = current.height + "px";
  canvas.width = width * ratio; canvas.height = current.height * ratio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = "12px system-ui, sans-serif"; context.textBaseline = "middle";
  context.fillStyle = css("--card"); context.fillRect(0, 0, width, current.height);
  paintAxis(width);
  paintHolder();
  for (const lane of current.lanes.values()) paintLane(lane, width);
}

function label(text, y) {
  context.fillStyle = css("--text");
  context.fillText(text.length > 22 ? text.slice(0, 21) + "…" : text, 10, y, GUTTER - 16);
}

function paintAxis(width) {
  const step = Math.pow(10, Math.floor(Math.log10((last - first) / 4)));
  context.strokeStyle = css("--line"); context.fillStyle = css("--soft"); context.beginPath();
  const every = step * ((last - first) / step > 12 ? 5 : (last - first) / step > 6 ? 2 : 1);
  for (let t = Math.ceil(first / every) * every; t <= last; t += every) {
    context.moveTo(x(t), HEAD - 4); context.lineTo(x(t), current.height);
    context.fillText(micros(t), x(t) + 3, 12);
  }
  context.stroke();
}

// Spans that fall on one pixel are drawn once: a million events must not be a million rectangles.
function paintSpans(count, begin, end, colour, y, height) {
  let until = -1;
  for (let k = 0; k < count; k++) {
    const b = begin(k), e = end(k);
    if (e < first || b > last) continue;
    const left = Math.max(GUTTER, x(b)), right = Math.max(left + 0.7, Math.min(x(e), wide));
    if (right <= until) continue;
    context.fillStyle = colour(k);
    context.fillRect(Math.max(left, until), y, right - Math.max(left, until), height);
    until = Math.floor(right) + (right - left < 1 ? 0.5 : 0);
  }
}

function paintHolder() {
  label("holder of the GIL", HEAD + ROW / 2);
  const held = current.held, palette = ["#3f7fbf", "#c8742a", "#2a9d8f", "#8d5ac2", "#a61e4d", "#8ab17d", "#e9a23b", "#5a6acf"];
  paintSpans(held.start.length, k => held.start[k], k => held.start[k] + held.length[k], k => palette[held.thread[k] % palette.length], HEAD, ROW);
  paintLost(current.lost, HEAD + ROW - 5, 5);
}

function paintLost(lost, y, height) {
  paintSpans(lost.length, k => lost[k][1], k => lost[k][1] + lost[k][2], () => LOST, y, height);
}

function paintLane(lane, width) {
  context.fillStyle = css("--code"); context.fillRect(GUTTER, lane.top, width - GUTTER, lane.bottom - lane.top - 6);
  label(lane.name, lane.bar + ROW / 2);
  for (const [, start, end, depth, name] of lane.imports) {
    if (end < first || start > last) continue;
    const left = Math.max(GUTTER, x(start)), right = Math.min(Math.max(x(end), left + 1), width), y = lane.top + depth * ROW;
    const hit = matches && current.hits.has(name);
    context.fillStyle = hit ? "#ffd43b" : dark ? "#2b4360" : "#d5e4f5"; context.fillRect(left, y, right - left, ROW - 2);
    if (right - left > 34) {
      context.save(); context.beginPath(); context.rect(left, y, right - left - 2, ROW); context.clip();
      context.fillStyle = hit ? "#111" : css("--text"); context.fillText(current.names[name], left + 4, y + ROW / 2 - 1); context.restore();
    }
  }
  const rows = lane.releases, at = k => rows[k], end = k => current.start[at(k)] + current.away[at(k)];
  paintSpans(rows.length, k => current.start[at(k)], end,
    k => matches && !matches.has(at(k)) ? css("--line") : colours[current.phase[at(k)]], lane.bar, ROW);
  paintLost(lane.lost, lane.bar, ROW);
  context.fillStyle = "#e03131";
  for (const i of rows) {
    const taken = current.start[i] + current.away[i], asked = taken - current.wait[i];
    if (!current.away[i] || taken < first || asked > last) continue;
    const left = Math.max(GUTTER, x(asked)), right = x(taken);
    if (right - left >= 0.5) context.fillRect(left, lane.bar + ROW - 4, right - left, 4);
  }
}

function describe(px, py) {
  const t = time(px);
  if (py >= HEAD && py < HEAD + ROW) {
    const held = current.held, k = find(held.start.length, i => held.start[i], t);
    return k >= 0 && t <= held.start[k] + held.length[k] ? `${current.lanes.get(held.thread[k]).name} held the GIL for ${micros(held.length[k])}` : "";
  }
  for (const lane of current.lanes.values()) {
    if (py < lane.top || py >= lane.bottom) continue;
    if (py < lane.bar) {
      const depth = Math.floor((py - lane.top) / ROW);
      const span = lane.imports.find(s => s[3] === depth && s[1] <= t && t <= s[2]);
      return span ? `import ${current.names[span[4]]}\n${micros(span[1])} to ${micros(span[2])}: ${micros(span[2] - span[1])}` : "";
    }
    const slack = (last - first) / canvas.clientWidth * 2;
    const lost = lane.lost.find(one => one[1] - slack <= t && t <= one[1] + one[2] + slack);
    if (lost) return `${current.waits[lost[3]]}\nwaited for ${micros(lost[2])} with the GIL held, from ${micros(lost[1])}` +
      `\n${lost[4]} thread${lost[4] === 1 ? "" : "s"} waited for the GIL`;
    const k = find(lane.releases.length, i => current.start[lane.releases[i]], t + slack);
    if (k < 0) return "";
    const i = lane.releases[k];
    if (t > current.start[i] + current.away[i] + slack) return "";
    return `${data.phases[current.phase[i]].name} · ${current.names[current.module[i]] || "no import"}\n` +
      `in C: ${current.sites[current.site[i]]}\nat ${micros(current.start[i])}` +
      (current.away[i] ? `, away for ${micros(current.away[i])}, of that ${micros(current.wait[i])} waiting` : ", not taken back") +
      (current.next[i] !== NOBODY ? `\n${current.lanes.get(current.next[i]).name} took it next` : "");
  }
  return "";
}

function find(count, at, time) { // the last one that starts no later
  let low = 0, high = count;
  while (low < high) { const middle = (low + high) >> 1; if (at(middle) <= time) low = middle + 1; else high = middle; }
  return low - 1;
}

function search() {
  const text = $("search").value.trim().toLowerCase();
  matches = null; matchAt = -1; current.hits = new Set(); $("found").textContent = "";
  if (text) {
    const has = list => new Set(list.flatMap((name, i) => name.toLowerCase().includes(text) ? [i] : []));
    const sites = has(current.sites), phases = has(data.phases.map(p => p.name));
    current.hits = has(current.names);
    matches = new Set();
    for (let i = 0; i < current.start.length; i++)
      if (sites.has(current.site[i]) || current.hits.has(current.module[i]) || phases.has(current.phase[i])) matches.add(i);
    $("found").textContent = `${matches.size} releases`;
  }
  draw();
}

function jump() {
  if (!matches || !matches.size) return;
  const all = [...matches];
  matchAt = (matchAt + 1) % all.length;
  const half = Math.min(last - first, current.end / 20) / 2, middle = current.start[all[matchAt]];
  first = middle - half; last = middle + half;
  $("found").textContent = `${matchAt + 1} of ${all.length}`;
  draw();
}

canvas.addEventListener("wheel", event => {
  event.preventDefault();
  const middle = time(event.offsetX), factor = Math.exp(event.deltaY * 0.002);
  if ((last - first) * factor < 0.05 && factor < 1) return;
  first = Math.max(0, middle - (middle - first) * factor); last = Math.min(current.end, middle + (last - middle) * factor);
  draw();
}, { passive: false });
let dragged = null;
canvas.addEventListener("pointerdown", event => { dragged = { x: event.offsetX, first, last }; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener("pointerup", () => dragged = null);
canvas.addEventListener("pointermove", event => {
  if (dragged) {
    const shift = (dragged.x - event.offsetX) / (canvas.clientWidth - GUTTER) * (dragged.last - dragged.first);
    first = dragged.first + shift; last = dragged.last + shift; tip.style.display = "none"; draw();
    return;
  }
  const text = event.offsetX > GUTTER ? describe(event.offsetX, event.offsetY) : "";
  tip.style.display = text ? "block" : "none"; tip.textContent = text;
  tip.style.left = Math.min(event.offsetX + 14, canvas.clientWidth - tip.offsetWidth - 8) + "px"; tip.style.top = event.offsetY + 14 + "px";
});
canvas.addEventListener("pointerleave", () => tip.style.display = "none");
$("search").addEventListener("input", search);
$("search").addEventListener("keydown", event => { if (event.key === "Enter") jump(); });
$("next").addEventListener("click", jump);
$("all").addEventListener("click", showAll);
$("process").addEventListener("change", () => load(+$("process").value));
addEventListener("resize", draw);
data.processes.forEach((one, i) => $("process").add(new Option(`${one.pid} ${one.program}`, i)));
data.phases.forEach((phase, i) => {
  const item = document.createElement("span"), box = document.createElement("i");
  box.style.background = colours[i]; item.title = phase.meaning; item.append(box, phase.name); $("legend").append(item);
});
if (data.processes.some(one => one.lost.length)) {
  const item = document.createElement("span"), box = document.createElement("i");
  box.style.background = LOST; item.title = "time in which no thread could run Python"; item.append(box, "wait with the GIL held"); $("legend").append(item);
}
if (data.processes.length) load(0);
