import { engine as connected } from "./engine.js";
import * as draw from "./draw.js";
import { wire } from "./steps.js";

const $ = id => document.getElementById(id);
const engine = connected(text => { $("about").textContent = text; });
const parts = document.querySelectorAll("body > header .run, main, #code");
for (const part of parts) part.inert = true;  // until the session has answered
$("quit").hidden = !engine.remote; $("exact").hidden = !engine.remote; $("close-to").hidden = engine.remote;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const SPEEDS = [[1, 1000, "1 step a second"], [1, 250, "4 steps a second"], [1, 0, "1 step a picture"], [4, 0, "4 steps a picture"],
  [16, 0, "16 steps a picture"], [64, 0, "64 steps a picture"], [0, 0, "as fast as it can"]];
const state = { running: false, settings: null, frame: null, points: [], loss: [], metric: [], rate: [], fresh: [], preset: "", stride: 1 };
const stats = { calls: 0, pending: 0, steps: 0, gaps: [], began: 0 };
window.play = { state, stats };  // read by tests
let chain = Promise.resolve(), said = 0, choices, first;

function ask(name, given) {  // calls run one after the other
  stats.calls++; stats.pending++;
  const answer = chain.then(() => engine.call(name, given));
  chain = answer.catch(() => {}).then(() => { stats.pending--; });
  return answer;
}
const show = v => v == null ? "–" : Math.abs(v) >= 1e4 || (v && Math.abs(v) < 1e-3) ? v.toExponential(2) : v.toFixed(3);
function say(text) {  // for screen readers, at most once a second
  if (performance.now() - said < 1000) return;
  said = performance.now(); $("status").textContent = text;
}
function problem(text) { $("problem").textContent = text || ""; $("problem").hidden = !text; }
const guard = work => async event => { try { problem(); await work(event); } catch (error) { stop(); problem(error.message); if (state.settings) controls(); } };
const sleep = ms => new Promise(done => setTimeout(done, ms));
const seen = () => new Promise(done => { const look = () => { if (!document.hidden) { document.removeEventListener("visibilitychange", look); done(); } }; document.addEventListener("visibilitychange", look); look(); });
const drawn = () => new Promise(done => { if (document.hidden) done(); else requestAnimationFrame(done); });

// Controls.

const LIST = ["data", "loss", "optimizer", "schedule"];
const NUMBERS = ["samples", "classes", "noise", "seed", "weights_seed", "l1", "l2", "learning_rate", "batch_size"];
function options(select, names, chosen) { select.replaceChildren(...names.map(name => new Option(name, name, false, name === chosen))); }
function field(label, input) { const made = document.createElement("label"); made.append(label + " ", input); return made; }
function box(type, value, attributes = {}) {
  const made = Object.assign(document.createElement("input"), { type, ...attributes });
  if (type === "checkbox") made.checked = value; else made.value = value ?? "";
  return made;
}
const targets = () => state.settings.data === "file" ? state.targets : choices.data[state.settings.data].targets;

function controls() {
  const s = state.settings;
  options($("data"), [...Object.keys(choices.data), ...(first.file ? ["file"] : [])], s.data);
  const losses = Object.keys(choices.losses[targets()]);
  options($("loss"), losses, losses.includes(s.loss) ? s.loss : losses[0]);
  options($("optimizer"), Object.keys(choices.optimizers), s.optimizer);
  options($("schedule"), Object.keys(choices.schedules), s.schedule);
  for (const name of NUMBERS) { const [low, high] = choices.limits[name]; Object.assign($(name), { min: low, max: high, value: s[name] ?? "" }); }
  $("book").checked = s.book;
  const data = choices.data[s.data] || { classes: false };
  $("classes").disabled = !data.classes;
  for (const name of ["samples", "noise", "seed", "book"]) $(name).disabled = s.data === "file";
  own("loss_options", choices.losses[targets()][$("loss").value]);
  own("optimizer_options", choices.optimizers[s.optimizer]);
  own("schedule_options", choices.schedules[s.schedule]);
  $("layers").replaceChildren(...s.layers.map(layer));
  $("more").disabled = s.layers.length >= choices.limits.layers[1];
  options($("which"), s.layers.map((_, i) => i + 1), s.layers.length);
  $("which").disabled = !s.layers.length;
  options($("brush"), [...Array(state.classes).keys()], 0);
  const flat = state.frame.extent.length === 2;
  $("brush-label").hidden = flat || targets() === "values"; $("first").textContent = flat ? "x" : "x[0]"; $("second").textContent = flat ? "y" : "x[1]";
}
function own(place, known) {  // hyperparameters of an optimizer, a schedule or a loss
  $(place).replaceChildren(...Object.entries(known).map(([name, usual]) => {
    const flag = typeof usual === "boolean", value = state.settings[place][name] ?? usual, input = box(flag ? "checkbox" : "number", value, { step: "any", id: `${place}-${name}` });
    input.onchange = guard(() => set({ [place]: { ...state.settings[place], [name]: flag ? input.checked : input.value === "" ? null : +input.value } }));
    return field(name, input);
  }));
}
function layer(one, i) {
  const item = document.createElement("li"), head = document.createElement("strong");
  head.textContent = `layer ${i + 1}`;
  const change = part => set({ layers: state.settings.layers.map((old, j) => j === i ? { ...old, ...part } : old) });
  const units = box("number", one.units, { min: 1, max: 256, id: `units-${i}` }), dropout = box("number", one.dropout, { min: 0, max: 0.99, step: "any", id: `dropout-${i}` });
  const norm = box("checkbox", one.batch_norm, { id: `batch_norm-${i}` }), activation = Object.assign(document.createElement("select"), { id: `activation-${i}` });
  options(activation, choices.activations, one.activation);
  const less = Object.assign(document.createElement("button"), { type: "button", textContent: `remove layer ${i + 1}`, id: `less-${i}` });
  units.onchange = guard(() => change({ units: +units.value })); dropout.onchange = guard(() => change({ dropout: +dropout.value }));
  norm.onchange = guard(() => change({ batch_norm: norm.checked })); activation.onchange = guard(() => change({ activation: activation.value }));
  less.onclick = guard(async () => { await set({ layers: state.settings.layers.filter((_, j) => j !== i) }); $("more").focus(); });
  item.append(head, field("units", units), field("activation", activation), field("dropout", dropout), field("batch norm", norm), less);
  return item;
}
async function set(part) {
  const focus = document.activeElement && document.activeElement.id;
  if (Object.keys(part).every(name => choices.live.includes(name))) {
    const answer = await ask("change", { settings: part });
    state.settings = answer.settings; $("source").textContent = answer.code; link(); controls();
  } else begin(await ask("configure", { settings: { ...state.settings, ...part } }));
  if (focus && $(focus)) $(focus).focus();
}
function begin(answer) {
  const data = state.settings && state.settings.data;
  Object.assign(state, { settings: answer.settings, points: answer.points, targets: answer.targets, classes: answer.classes, loss: [], metric: [], rate: [], fresh: [], stride: 1, at0: null, at100: null });
  if (data !== answer.settings.data) $("point0").value = $("point1").value = 0;
  state.frame = answer; $("source").textContent = answer.code;
  controls(); receive(answer); link();
  say(`new run: ${answer.settings.data}, ${answer.points.length} points`);
}
function link() {
  const changed = Object.fromEntries(Object.entries(state.settings).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(first.settings[name])));
  const kept = new URLSearchParams();
  if (Object.keys(changed).length) kept.set("settings", JSON.stringify(changed));
  history.replaceState(null, "", "#" + kept);
}

// Frames.

function receive(frame) {
  state.frame = { ...state.frame, ...frame };
  const from = frame.epoch - frame.history.loss.length, metric = frame.history[frame.metric];
  frame.history.loss.forEach((value, i) => {
    const epoch = from + i;
    if (epoch === 0 || epoch === 100) state["at" + epoch] = { loss: value, [frame.metric]: metric[i] };
    if (epoch % state.stride) return;
    state.loss.push([epoch, value]); state.metric.push([epoch, metric[i]]); state.rate.push([epoch, frame.history.learning_rate[i]]);
  });
  while (state.loss.length > 2000) {  // keep every second point
    state.stride *= 2;
    for (const name of ["loss", "metric", "rate"]) state[name] = state[name].filter(p => p[0] % state.stride === 0);
  }
  if (frame.test && frame.test.loss != null) state.fresh.push([frame.epoch, frame.test.loss, frame.test[frame.metric]]);
  if (state.fresh.length > 500) state.fresh = state.fresh.filter((_, i) => i % 2 === 0);
  state.last = { loss: frame.history.loss.at(-1) ?? state.last?.loss, metric: metric.at(-1) ?? state.last?.metric };
  if (frame.epoch === 0 && frame.position === 0) state.last = {};
  paint(Boolean(frame.params));
  if (frame.diverged) { stop(); problem(frame.diverged); }
}
function paint(detail) {
  const f = state.frame, test = f.test || {}, place = `epoch ${f.epoch}` + (f.batches > 1 ? `, step ${f.position} of ${f.batches}` : "");
  $("place").textContent = place;
  const scores = `training: loss ${show(state.last.loss)}, ${f.metric} ${show(state.last.metric)}. Fresh points: loss ${show(test.loss)}, ${f.metric} ${show(test[f.metric])}`;
  $("scores").textContent = scores;
  draw.answers($("answers"), f, state.points);
  if (detail) curves();
  stated();
  say(`${place}. ${scores}`);
  if (!detail) return;
  $("metric-title").textContent = f.metric;
  draw.neurons($("neurons"), f.neurons);
  $("neurons").setAttribute("aria-label", `what each of ${f.neurons.shown} of ${f.neurons.units} neurons answers over the plane`);
  $("answers").setAttribute("aria-label", `what the network answers over the plane, with ${state.points.length} points; ${scores}`);
  for (const [id, list] of [["loss-curve", state.loss], ["metric-curve", state.metric], ["rate-curve", state.rate]])
    $(id).setAttribute("aria-label", `${id.replace("-curve", "")} over ${f.epoch} epochs, from ${show(list[0]?.[1])} to ${show(list.at(-1)?.[1])}`);
  $("dead").textContent = f.dead.map(d => `${d.layer}: ${d.dead} of ${d.of} ReLUs answer 0 to every point (${Math.round(100 * d.dead / d.of)}%)`).join("; ");
  params(f.params);
  tables();
}
function curves() {
  draw.lines($("loss-curve"), [{ name: "training", colour: "#0072B2", points: state.loss }, { name: "fresh points", colour: "#D55E00", dashed: true, points: state.fresh }], true);
  draw.lines($("metric-curve"), [{ name: "training", colour: "#0072B2", points: state.metric }, { name: "fresh points", colour: "#D55E00", dashed: true, points: state.fresh.map(p => [p[0], p[2]]) }], false);
  draw.lines($("rate-curve"), [{ name: "learning rate", colour: "#0072B2", points: state.rate }], false);
}
function params(list) {
  if ($("params").childElementCount !== list.length || [...$("params").children].some((item, i) => item.dataset.path !== list[i].path))
    $("params").replaceChildren(...list.map(one => {
      const item = document.createElement("li");
      item.dataset.path = one.path; item.append(document.createElement("p"));
      for (const name of ["weights", "gradient"]) {
        const button = Object.assign(document.createElement("button"), { type: "button" });
        button.setAttribute("aria-label", `${one.path}, ${name}: show the step in full`);
        button.append(document.createElement("canvas"));
        button.onclick = guard(() => full(`on '${one.path}'`));
        item.append(button);
      }
      const canvas = document.createElement("canvas"); canvas.setAttribute("role", "img"); item.append(canvas);
      return item;
    }));
  list.forEach((one, i) => {
    const [text, w, g, h] = $("params").children[i].children;
    text.textContent = `${one.path} (${one.shape.join(", ")}): norm ${show(one.weight.norm)}, gradient ${show(one.gradient.norm)}, largest ${show(one.weight.most)}`;
    draw.signed(w.firstChild, one.weight.picture, one.shape); draw.signed(g.firstChild, one.gradient.picture, one.shape);
    draw.histogram(h, one.weight.histogram);
    h.setAttribute("aria-label", `histogram of ${one.path}, from ${show(-one.weight.most)} to ${show(one.weight.most)}: ${one.weight.histogram.join(", ")}`);
  });
}
function stated() {
  const one = state.preset && first.presets[state.preset];
  $("stated").hidden = !one;
  if (one) $("stated").textContent = Object.entries(one.stated).map(([epoch, values]) => `Epoch ${epoch}: the lesson states ${Object.entries(values).map(([n, v]) => `${n} ${v.toFixed(3)}`).join(", ")}; here ${Object.keys(values).map(n => show(state["at" + epoch]?.[n])).join(", ")}.`).join(" ");
}
function table(place, head, rows) {
  const made = document.createElement("table"), top = made.createTHead().insertRow(), body = made.createTBody();
  for (const text of head) top.append(Object.assign(document.createElement("th"), { textContent: text, scope: "col" }));
  for (const row of rows) { const line = body.insertRow(); for (const text of row) line.insertCell().textContent = text; }
  place.querySelector(".scroll").replaceChildren(made);
}
function tables() {
  if ($("curves-text").open) {
    const n = state.loss.length, rows = [...new Set([...Array(12).keys()].map(i => Math.round(Math.expm1(i / 11 * Math.log(n || 1)))))].filter(i => i < n);
    table($("curves-text"), ["epoch", "loss", state.frame.metric, "learning rate"], rows.map(i => [state.loss[i][0], show(state.loss[i][1]), show(state.metric[i][1]), show(state.rate[i][1])]));
  }
  if ($("regions-text").open) {
    const f = state.frame, g = f.grid, e = f.extent, at = [4, 13, 22, 31, 40, 49, 58], x = i => show(e[0] + (e[1] - e[0]) * i / (g - 1));
    const p = f.regions && draw.bytes(f.regions), v = f.values && draw.floats(f.values), k = p && p.length / (g * g);
    const cell = i => { if (v) return show(v[i]); let best = 0; for (let j = 1; j < k; j++) if (p[i * k + j] > p[i * k + best]) best = j; return `class ${best}, ${Math.round(p[i * k + best] / 2.55)}%`; };
    if (e.length === 2) table($("regions-text"), ["x", "answer"], at.map(i => [x(i), cell(i)]));
    else table($("regions-text"), ["x[1] \\ x[0]", ...at.map(x)], [...at].reverse().map(r => [show(e[2] + (e[3] - e[2]) * r / (g - 1)), ...at.map(c => cell(r * g + c))]));
  }
}

// Training.

function stop() { state.running = false; $("train").textContent = "train"; $("train").setAttribute("aria-pressed", "false"); }
function more(detail) {
  const [count] = SPEEDS[+$("speed").value];
  return count ? ask("step", { count, detail }) : ask("advance", { ms: still.matches ? 200 : 15, detail });
}
async function loop() {
  let detailed = 0, coded = 0, before = performance.now(), next = null;
  Object.assign(stats, { steps: 0, gaps: [], began: performance.now() });
  while (state.running || next) {
    if (document.hidden && !next) await seen();
    const now = performance.now(), detail = now - detailed > 200, pause = still.matches ? 300 : SPEEDS[+$("speed").value][1];
    const frame = await (next || more(detail));
    if (detail) detailed = now;
    next = state.running && !pause && !document.hidden && !frame.diverged ? more(detail) : null;  // train the next frame while this one is drawn
    if (next) next.catch(() => {});
    stats.steps += Math.max(0, frame.step - state.frame.step);
    receive(frame);
    if (now - coded > 1000) { coded = now; ask("code").then(answer => { $("source").textContent = answer.code; }, () => {}); }
    if (pause) await sleep(pause);
    await drawn();
    stats.gaps.push(performance.now() - before); before = performance.now();
    if (stats.gaps.length > 1000) stats.gaps.shift();
  }
  $("source").textContent = (await ask("code")).code;
  receive(await ask("show", { layer: Math.max(0, $("which").value - 1) }));
}
let looping = Promise.resolve();
$("train").onclick = guard(async () => {
  if (state.running) { stop(); return looping; }
  state.running = true; $("train").textContent = "pause"; $("train").setAttribute("aria-pressed", "true");
  looping = loop();
  await looping;
});
$("step").onclick = guard(async () => { stop(); await looping; receive(await ask("step")); $("source").textContent = (await ask("code")).code; });
$("restart").onclick = guard(async () => { stop(); await looping; begin(await ask("configure", { settings: state.settings })); });
$("reseed").onclick = guard(async () => { stop(); await looping; await set(state.settings.book ? { seed: state.settings.seed + 1 } : { weights_seed: state.settings.weights_seed + 1 }); });
const speed = () => $("speed").setAttribute("aria-valuetext", $("speed").title = SPEEDS[+$("speed").value][2]);
$("speed").oninput = speed; speed();

// Settings.

for (const name of NUMBERS) $(name).onchange = guard(() => { leave(); return set({ [name]: $(name).value === "" ? null : +$(name).value }); });
$("book").onchange = guard(() => { leave(); return set({ book: $("book").checked }); });
$("data").onchange = guard(() => { leave(); const name = $("data").value; return set({ data: name, added: [], ...(choices.data[name] ? { noise: choices.data[name].noise } : {}) }); });
for (const name of LIST.slice(1)) $(name).onchange = guard(() => { leave(); return set({ [name]: $(name).value, [`${name}_options`]: {} }); });
$("more").onclick = guard(() => set({ layers: [...state.settings.layers, { units: 16, activation: "ReLU", dropout: 0, batch_norm: false }] }));
function leave() { state.preset = $("preset").value = ""; stated(); }
async function preset(name) {
  stop(); await looping;
  const answer = await ask("preset", { name });
  if (answer.explained) { open(answer.explained, answer.title); return; }
  state.preset = $("preset").value = name;
  begin(answer);
}
$("preset").onchange = guard(() => $("preset").value ? preset($("preset").value) : leave());
$("which").onchange = guard(async () => receive(await ask("show", { layer: $("which").value - 1 })));
$("curves-text").ontoggle = $("regions-text").ontoggle = tables;

// Points.

async function add(x0, x1) {
  const flat = state.frame.extent.length === 2, point = flat ? [x0, x1] : [x0, x1, targets() === "values" ? 0 : +$("brush").value];
  const answer = await ask("add", { points: [point] });
  Object.assign(state, { points: answer.points, settings: answer.settings });
  $("source").textContent = answer.code; state.frame = { ...state.frame, ...answer, history: {} }; paint(true); link();
  say(`point added, now ${answer.points.length}`);
}
$("answers").onclick = guard(event => {
  const at = $("answers").getBoundingClientRect(), e = state.frame.extent, [low, high] = e.length === 2 ? draw.heights(state.points) : [e[2], e[3]];
  return add(e[0] + (event.clientX - at.left) / at.width * (e[1] - e[0]), high - (event.clientY - at.top) / at.height * (high - low));
});
$("adding").onsubmit = event => { event.preventDefault(); guard(() => add(+$("point0").value, +$("point1").value))(); };

// Downloads, copies, and the step in full.

function give(data, name, type) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([data], { type })), download: name });
  link.click(); setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
async function copy(text, what) {
  try { await navigator.clipboard.writeText(text); said = 0; say(`${what} copied`); }
  catch { throw new Error("the browser does not let this page copy; select the text instead"); }
}
$("copy").onclick = guard(() => copy($("source").textContent, "program"));
$("link").onclick = guard(() => copy(location.href, "link"));
$("download").onclick = guard(() => give($("source").textContent, "network.py", "text/x-python"));
$("save").onclick = guard(async () => give(await ask("save"), "model.safetensors", "application/octet-stream"));
$("film").onclick = guard(async () => { stop(); await looping; said = 0; say("the film is being drawn"); give(await ask("film"), "film.webp", "image/webp"); });
function open(html, title, focus) {
  $("stages").innerHTML = html; $("full-title").textContent = title || "One training step in full";
  const walk = wire($("stages")), at = focus ? walk.find(focus) : 0;
  if (at > 0) walk.show(at);
  $("full").showModal();
}
async function full(place) {
  stop(); await looping;
  open((await ask("explain")).explained, "", place);
}
$("explain").onclick = guard(() => full());
$("neurons").onclick = guard(() => full(`'${state.frame.neurons.place}'`));
$("close").onclick = () => $("full").close();
$("quit").onclick = guard(async () => { stop(); await looping; await ask("quit"); problem("The server has ended. This page can be closed."); });

const given = new URLSearchParams(location.hash.slice(1));
try {
  first = await ask("hello"); choices = first.choices;
  $("about").textContent = `arraynn ${first.version} on ${first.backend}`;
  $("preset").append(...Object.entries(first.presets).sort().map(([name, one]) => new Option(one.title, name)));
  begin(first);
  for (const part of parts) part.inert = false;
  const wanted = given.get("settings");
  if (given.get("preset")) await preset(given.get("preset"));
  else if (wanted) begin(await ask("configure", { settings: JSON.parse(wanted) }));
} catch (error) { $("about").textContent = ""; problem(error.message); }
document.body.dataset.ready = "yes";
