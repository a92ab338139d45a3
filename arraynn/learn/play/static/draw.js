// Draws images on canvases from the data that the session sends.
const COLOURS = ["#0072B2", "#E69F00", "#C2407E", "#009E73", "#D55E00", "#56B4E9", "#8C6BB1", "#B8A000"];
const RGB = COLOURS.map(c => [1, 3, 5].map(i => parseInt(c.slice(i, i + 2), 16)));
const PALE = RGB.map(c => c.map(v => 255 - 0.45 * (255 - v)));
const PLUS = [0, 114, 178], MINUS = [213, 94, 0];
export function bytes(text) {
  const found = atob(text), made = new Uint8Array(found.length);
  for (let i = 0; i < made.length; i++) made[i] = found.charCodeAt(i);
  return made;
}
export const floats = text => new Float32Array(bytes(text).buffer);
const small = document.createElement("canvas"), inks = {};
export function restyle() {  // read once: reading styles for each image would force a layout each time
  const found = getComputedStyle(document.documentElement);
  for (const name of ["--ink", "--faint", "--card", "--accent"]) inks[name] = found.getPropertyValue(name).trim();
}
restyle();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
const style = name => inks[name];

function image(wide, high, colour) {
  const made = new ImageData(wide, high), data = made.data;
  for (let i = 0, o = 0; i < wide * high; i++, o += 4) { const c = colour(i); data[o] = c[0]; data[o + 1] = c[1]; data[o + 2] = c[2]; data[o + 3] = 255; }
  if (small.width !== wide || small.height !== high) { small.width = wide; small.height = high; }
  small.getContext("2d").putImageData(made, 0, 0);
  return small;
}

export function answers(canvas, frame, points) {
  const pen = canvas.getContext("2d"), w = canvas.width, h = canvas.height, g = frame.grid, e = frame.extent;
  if (e.length === 2) return curve(canvas, frame, points);
  const from = i => (g - 1 - Math.floor(i / g)) * g + i % g;  // rows come from the bottom
  let colour;
  if (frame.regions) {
    const p = bytes(frame.regions), k = p.length / (g * g);
    const c = [0, 0, 0];
    colour = i => { const at = from(i) * k; c.fill(0); for (let j = 0; j < k; j++) { const share = p[at + j] / 255, pale = PALE[j]; c[0] += share * pale[0]; c[1] += share * pale[1]; c[2] += share * pale[2]; } return c; };
  } else {
    const v = floats(frame.values), targets = points.map(p => p[2]), low = Math.min(...targets), span = Math.max(...targets) - low || 1;
    const mix = s => RGB[5].map((c, n) => c + Math.min(1, Math.max(0, s)) * (RGB[1][n] - c));
    colour = i => mix((v[from(i)] - low) / span);
  }
  pen.imageSmoothingEnabled = true;
  pen.drawImage(image(g, g, colour), 0, 0, w, h);
  const size = Math.max(2.4, Math.min(6, 90 / Math.sqrt(points.length))), classes = Boolean(frame.regions);
  for (const [x, y, c] of points) {
    pen.beginPath(); pen.arc((x - e[0]) / (e[1] - e[0]) * w, h - (y - e[2]) / (e[3] - e[2]) * h, size, 0, 7);
    pen.fillStyle = classes ? COLOURS[c] : "#333"; pen.fill(); pen.strokeStyle = "#fff"; pen.lineWidth = 1; pen.stroke();
  }
}

export function heights(points) {  // the vertical range of a canvas that shows a curve through points (x, y)
  const y = points.map(p => p[1]), low = Math.min(...y), high = Math.max(...y), edge = 0.15 * (high - low || 1);
  return [low - edge, high + edge];
}

function curve(canvas, frame, points) {
  const pen = canvas.getContext("2d"), w = canvas.width, h = canvas.height, [l, r] = frame.extent, [low, high] = heights(points), v = floats(frame.values);
  const X = x => (x - l) / (r - l) * w, Y = y => h - (y - low) / (high - low) * h;
  pen.fillStyle = style("--card"); pen.fillRect(0, 0, w, h);
  pen.fillStyle = style("--accent");
  for (const [x, y] of points) { pen.beginPath(); pen.arc(X(x), Y(y), 2, 0, 7); pen.fill(); }
  pen.beginPath(); v.forEach((y, i) => pen.lineTo(i / (v.length - 1) * w, Y(y)));
  pen.strokeStyle = "#D55E00"; pen.lineWidth = 3; pen.stroke();
}

export function lines(canvas, series, log) {  // series: [{ points: [[x, y]], colour, name }]
  const pen = canvas.getContext("2d"), w = canvas.width, h = canvas.height, all = series.flatMap(s => s.points.filter(p => p[1] != null && (!log || p[1] > 0)));
  pen.clearRect(0, 0, w, h);
  if (!all.length) return;
  const scale = log ? Math.log10 : v => v, last = Math.max(1, ...all.map(p => p[0]));
  let low = Infinity, high = -Infinity;
  for (const p of all) { low = Math.min(low, scale(p[1])); high = Math.max(high, scale(p[1])); }
  if (high - low < 1e-9) { low -= Math.abs(low) * 0.05 + 1e-6; high += Math.abs(high) * 0.05 + 1e-6; }
  const X = x => 48 + (w - 56) * x / last, Y = v => 10 + (h - 26) * (high - scale(v)) / (high - low), show = v => (log ? 10 ** v : v).toPrecision(2);
  pen.font = "11px system-ui"; pen.fillStyle = style("--faint"); pen.textAlign = "right";
  pen.fillText(show(high), 44, 14); pen.fillText(show(low), 44, h - 16); pen.fillText(`${last}`, w - 8, h - 3);
  pen.textAlign = "left";
  series.forEach((s, n) => {
    pen.beginPath(); pen.strokeStyle = s.colour; pen.lineWidth = 1.6; pen.setLineDash(s.dashed ? [5, 3] : []);
    for (const p of s.points) if (p[1] != null && (!log || p[1] > 0)) pen.lineTo(X(p[0]), Y(p[1]));
    pen.stroke(); pen.setLineDash([]);
    pen.fillStyle = style("--ink"); pen.fillText((s.dashed ? "- - " : "— ") + s.name, 56 + n * 130, h - 3);
  });
}

export function signed(canvas, text, shape) {
  const v = new Int8Array(bytes(text).buffer), rows = shape.length === 2 ? shape[0] : 1, columns = v.length / rows;
  const tall = rows > columns, wide = tall ? rows : columns, high = tall ? columns : rows;  // draw a tall matrix transposed
  canvas.width = wide; canvas.height = high;
  const at = i => tall ? v[(i % wide) * columns + Math.floor(i / wide)] : v[i];
  canvas.getContext("2d").drawImage(image(wide, high, i => { const s = at(i) / 127, c = s > 0 ? PLUS : MINUS; return c.map(n => 255 - Math.abs(s) * (255 - n)); }), 0, 0);
}

export function histogram(canvas, counts) {
  const pen = canvas.getContext("2d"), w = canvas.width = 96, h = canvas.height = 38, most = Math.max(1, ...counts);
  pen.fillStyle = style("--accent");
  counts.forEach((n, i) => { const tall = n ? Math.max(1, n / most * h) : 0; pen.fillRect(i * w / counts.length, h - tall, w / counts.length - 1, tall); });
}

export function neurons(canvas, found) {
  const g = found.grid, c = [0, 0, 0];
  const pen = canvas.getContext("2d"), m = bytes(found.maps), n = found.shown;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (!n) return;
  const flat = m.length / n < g * g, across = Math.min(16, Math.max(4, Math.ceil(Math.sqrt(n * 2.3)))), size = Math.min(canvas.width / across, canvas.height / Math.ceil(n / across));
  pen.imageSmoothingEnabled = true;
  for (let u = 0; u < n; u++) {
    const colour = i => { const v = m[u * m.length / n + (flat ? i % g : (g - 1 - Math.floor(i / g)) * g + i % g)] / 255; for (let n = 0; n < 3; n++) c[n] = 255 - v * (255 - PLUS[n]); return c; };
    pen.drawImage(image(g, flat ? 1 : g, colour), (u % across) * size + 1, Math.floor(u / across) * size + 1, size - 2, size - 2);
  }
}
