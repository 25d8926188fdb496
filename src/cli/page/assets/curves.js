// The panels above the diagram: the whole run as a map, faults and steps, and curves.

const step = (cx, axis, points, value, scale, low) => {
  // Points are instants and what counts since then.
  cx.beginPath();
  let from = Math.max(0, search(points.map((point) => point[0]), axis.from, true) - 1);
  let y = low - (points.length && points[from][0] <= axis.from ? value(points[from]) : 0) * scale;
  cx.moveTo(axis.left, y);
  for (; from < points.length && points[from][0] <= axis.to; from++) {
    const x = Math.max(axis.left, axis.x(points[from][0]));
    cx.lineTo(x, y);
    y = low - value(points[from]) * scale;
    cx.lineTo(x, y);
  }
  cx.lineTo(axis.right, y);
  cx.stroke();
};

const highest = (points, axis, value) => {
  let most = 0, before = 0;
  for (const point of points) {
    if (point[0] <= axis.from) before = value(point);
    else if (point[0] > axis.to) break;
    else most = Math.max(most, value(point));
  }
  return Math.max(most, before);
};

const scaleText = (cx, most, top, low) => {
  cx.fillStyle = colours.soft;
  cx.textAlign = "right";
  cx.fillText(number(most), GUTTER - 6, top + 6);
  cx.fillText("0", GUTTER - 6, low - 4);
};

const DEFECTS = [["absent", "absent", []], ["ghost", "ghost", [7, 3]], ["wrong", "wrong", [2, 2]]];

const drawDefects = (canvas, run, axis, node) => {
  const [cx] = canvasFor(canvas, 84);
  const points = node < 0 ? run.curves.defects : run.curves.node_defects[node];
  drawTicks(cx, axis, 0, 84, false);
  const most = Math.max(1, ...[0, 1, 2].map((kind) => highest(points, axis, (point) => point[1][kind])));
  scaleText(cx, most, 2, 82);
  cx.lineWidth = 2;
  DEFECTS.forEach(([, colour, dash], kind) => {
    cx.strokeStyle = colours[colour];
    cx.setLineDash(dash);
    step(cx, axis, points, (point) => point[1][kind], 72 / most, 81);
  });
  cx.setLineDash([]);
};

const drawMessages = (canvas, run, axis, what, isShown) => {
  const [cx] = canvasFor(canvas, 84);
  const { bin_us, kinds } = run.curves;
  drawTicks(cx, axis, 0, 84, false);
  const drawn = kinds.filter((kind) => isShown(kind.kind));
  const first = Math.floor(axis.from / bin_us), last = Math.floor(axis.to / bin_us);
  let most = 1;
  for (const kind of drawn) for (let bin = first; bin <= last; bin++) most = Math.max(most, kind[what][bin] || 0);
  scaleText(cx, most, 2, 82);
  cx.lineWidth = 1.6;
  for (const kind of drawn) {
    const { colour, dash } = look(run.kinds.indexOf(kind.kind));
    cx.strokeStyle = colour;
    cx.setLineDash(dash);
    cx.beginPath();
    for (let bin = first; bin <= last; bin++) {
      const y = 81 - (kind[what][bin] || 0) * 72 / most;
      cx.lineTo(axis.x(Math.max(axis.from, bin * bin_us)), y);
      cx.lineTo(axis.x(Math.min(axis.to, (bin + 1) * bin_us)), y);
    }
    cx.stroke();
  }
  cx.setLineDash([]);
};

const drawQueues = (canvas, run, axis, isShown) => {
  const [cx] = canvasFor(canvas, 64);
  drawTicks(cx, axis, 0, 64, false);
  const drawn = run.curves.queues.filter((queue) => isShown(queue.node));
  const most = Math.max(1, ...drawn.map((queue) => highest(queue.points, axis, (point) => point[1])));
  scaleText(cx, most, 2, 62);
  cx.lineWidth = 1.6;
  for (const queue of drawn) {
    const { colour, dash } = look(queue.node);
    cx.strokeStyle = colour;
    cx.setLineDash(dash);
    step(cx, axis, queue.points, (point) => point[1], 52 / most, 61);
  }
  cx.setLineDash([]);
};

// Steps of the script, and the stretches in which the network is not as it should be. Texts that have no
// room are left to the list of steps.
const drawBand = (canvas, run, axis) => {
  const rows = [...new Set(run.bars.map((bar) => bar.text))];
  const high = 84 + rows.length * 16;
  const [cx] = canvasFor(canvas, high);
  drawTicks(cx, axis, 0, high - 20, true);
  rows.forEach((text, row) => {
    const top = 63 + row * 16;
    cx.textAlign = "left";
    for (const bar of run.bars) {
      if (bar.text !== text || bar.to_us < axis.from || bar.from_us > axis.to) continue;
      const from = Math.max(axis.left, axis.x(bar.from_us)), to = Math.min(axis.right, axis.x(bar.to_us));
      cx.fillStyle = row ? colours.pause : colours.cut;
      cx.fillRect(from, top, Math.max(2, to - from), 13);
      cx.fillStyle = colours.ink;
      cx.fillText(fitted(cx, text, to - from - 6), from + 3, top + 7);
    }
  });
  cx.strokeStyle = colours.ink;
  cx.fillStyle = colours.ink;
  cx.textAlign = "left";
  const free = [-Infinity, -Infinity, -Infinity];
  for (const mark of run.steps) {
    if (mark.at_us < axis.from || mark.at_us > axis.to) continue;
    const x = axis.x(mark.at_us);
    cx.beginPath();
    // A diamond begins something, a ring ends it.
    if (mark.healing || ["heal", "resume", "release"].includes(mark.action)) {
      cx.arc(x, 54, 4, 0, 7);
      cx.stroke();
    } else {
      cx.moveTo(x, 49);
      cx.lineTo(x + 5, 54);
      cx.lineTo(x, 59);
      cx.lineTo(x - 5, 54);
      cx.fill();
    }
    const text = fitted(cx, shown(mark.text), axis.right + MARGIN - 4 - axis.left), long = cx.measureText(text).width;
    const place = Math.min(x, axis.right + MARGIN - 4 - long);
    const row = free.findIndex((from) => from <= place);
    if (row < 0 || place < axis.left) continue;
    cx.fillText(text, place, 8 + 15 * row);
    free[row] = place + long + 12;
  }
};

// The whole run, and which part of it is looked at.
const drawMap = (canvas, run, view, end) => {
  const [cx, wide] = canvasFor(canvas, 52);
  const axis = axisOf(0, end, wide);
  const { bin_us, kinds } = run.curves;
  const bins = kinds.length ? kinds[0].sent.length : 0;
  let most = 1;
  const sums = new Float64Array(bins);
  for (const kind of kinds) kind.sent.forEach((sent, bin) => { most = Math.max(most, sums[bin] += sent); });
  cx.fillStyle = colours.line;
  for (let bin = 0; bin < bins; bin++) {
    if (!sums[bin]) continue;
    const high = Math.max(1, 30 * sums[bin] / most);
    const x = axis.x(bin * bin_us);
    cx.fillRect(x, 36 - high, Math.max(1, axis.x((bin + 1) * bin_us) - x), high);
  }
  cx.strokeStyle = colours.ghost;
  cx.lineWidth = 1.5;
  const peak = Math.max(1, highest(run.curves.defects, axis, (point) => point[1][0] + point[1][1] + point[1][2]));
  step(cx, axis, run.curves.defects, (point) => point[1][0] + point[1][1] + point[1][2], 28 / peak, 36);
  drawTicks(cx, axis, 36, 3, true);
  cx.fillStyle = colours.shade;
  const { first, last, from_us, to_us } = run.window;
  if (first > 1 || last < run.head.events) {
    cx.fillRect(axis.left, 0, axis.x(from_us) - axis.left, 36);
    cx.fillRect(axis.x(to_us), 0, axis.right - axis.x(to_us), 36);
  }
  for (const finding of run.findings) {
    if (finding.at_us === null || finding.verdict === "held") continue;
    const x = axis.x(finding.at_us);
    cx.fillStyle = finding.verdict === "failed" ? colours.bad : colours.soft;
    cx.beginPath();
    cx.moveTo(x - 4, 0);
    cx.lineTo(x + 4, 0);
    cx.lineTo(x, 8);
    cx.fill();
  }
  if (run.difference) {
    cx.fillStyle = colours.wrong;
    cx.fillRect(axis.x(run.difference.at_us) - 1, 0, 2, 36);
  }
  const [from, to] = [axis.x(view.from), axis.x(view.to)];
  cx.strokeStyle = colours.ink;
  cx.lineWidth = 2;
  cx.strokeRect(from, 1, Math.max(3, to - from), 36);
  cx.fillStyle = colours.ink;
  cx.fillRect(axis.x(view.cursor) - 1, 0, 2, 39);
  return axis;
};
