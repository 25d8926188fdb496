// The space-time diagram: a lane per node, messages as lines from their sending to their end.

// More lines or marks than this in one picture are thinned, and the page says so.
const LINES_MAX = 4000;
const MARKS_MAX = 4000;
const LANE = 30;
const HEAD = 20;

// What is drawn of a run, by what is looked at and filtered.
const choose = (run, view, filter) => {
  const { events, flights } = run;
  const lanes = [];
  run.nodes.forEach((name, node) => { if (filter.node(name)) lanes.push(node); });
  const laneOf = new Int32Array(run.nodes.length).fill(-1);
  lanes.forEach((node, lane) => { laneOf[node] = lane; });
  const lines = [], marks = [];
  for (let i = search(flights.sent, view.from - flights.longest); i < flights.count && flights.sent[i] <= view.to; i++) {
    if (flights.ended[i] < view.from || laneOf[flights.from[i]] < 0 || laneOf[flights.to[i]] < 0) continue;
    if (!filter.kind(run.kinds[flights.kind[i]])) continue;
    if (filter.child !== null) {
      // A copy tells no children: those of the message count.
      let event = flights.event[i];
      if (event >= 0 && flights.traits[i] & 1) event = events.cause[event];
      if (event < 0 || !filter.about(run, event)) continue;
    }
    lines.push(i);
  }
  const isMessage = run.messageKinds;
  for (let i = Math.max(events.before, search(events.at, view.from)); i < events.count && events.at[i] <= view.to; i++) {
    if (isMessage[events.kind[i]] || !events.node[i] || laneOf[events.node[i] - 1] < 0) continue;
    if (!filter.kind(run.event_kinds[events.kind[i]]) || (filter.child !== null && !filter.about(run, i))) continue;
    marks.push(i);
  }
  const thin = (list, most) => {
    if (list.length <= most) return list;
    const each = Math.ceil(list.length / most);
    return list.filter((_, at) => at % each === 0);
  };
  return { lanes, laneOf, lines: thin(lines, LINES_MAX), marks: thin(marks, MARKS_MAX), all: [lines.length, marks.length] };
};

// Is the event among those that a filter lets through? For steps with the keys, and for the search.
const isChosen = (run, i, filter) => {
  const { events } = run;
  if (events.node[i] && !filter.node(run.nodes[events.node[i] - 1])) return false;
  const message = events.message[i] ? run.kinds[events.message[i] - 1] : null;
  if (!filter.kind(run.event_kinds[events.kind[i]]) && !(message !== null && filter.kind(message))) return false;
  return filter.child === null || filter.about(run, i);
};

const laneY = (lane) => HEAD + lane * LANE + LANE / 2;

const drawDiagram = (canvas, run, axis, chosen, lit) => {
  const { events, flights } = run;
  const high = HEAD + Math.max(1, chosen.lanes.length) * LANE + 8;
  const [cx, wide] = canvasFor(canvas, high);
  const bottom = high - 8;
  const spots = [];
  drawTicks(cx, axis, 4, bottom - 4, false);
  const inView = (from, to) => [Math.max(axis.left, axis.x(clamp(from, axis.from, axis.to))), Math.min(axis.right, axis.x(clamp(to, axis.from, axis.to)))];
  for (const stretch of run.stretches) {
    const lane = chosen.laneOf[stretch.node];
    if (lane < 0 || stretch.to_us < axis.from || stretch.from_us > axis.to) continue;
    const [from, to] = inView(stretch.from_us, stretch.to_us);
    const y = laneY(lane);
    const tall = stretch.what === "cut" ? 8 : 18;
    cx.fillStyle = { down: colours.shade, paused: colours.pause, cut: colours.cut }[stretch.what];
    cx.fillRect(from, y - tall / 2, Math.max(1, to - from), tall);
    if (stretch.what === "down") {
      cx.strokeStyle = colours.soft;
      cx.lineWidth = 1;
      for (let x = from + 4; x < to; x += 8) {
        cx.beginPath();
        cx.moveTo(x, y + 9);
        cx.lineTo(Math.min(x + 6, to), y - 9);
        cx.stroke();
      }
    }
  }
  cx.lineWidth = 1;
  for (const lane of chosen.lanes.keys()) {
    const y = laneY(lane);
    cx.strokeStyle = colours.line;
    cx.beginPath();
    cx.moveTo(axis.left, y);
    cx.lineTo(axis.right, y);
    cx.stroke();
    cx.fillStyle = colours.ink;
    cx.textAlign = "right";
    cx.fillText(fitted(cx, shown(run.nodes[chosen.lanes[lane]]), GUTTER - 14), GUTTER - 8, y);
  }
  cx.save();
  cx.beginPath();
  cx.rect(axis.left - 6, 0, axis.right - axis.left + 12, high);
  cx.clip();
  for (const x of axis.folds) {
    cx.fillStyle = colours.panel;
    cx.fillRect(x - 3, 4, 6, bottom - 4);
    cx.strokeStyle = colours.soft;
    cx.setLineDash([1, 3]);
    cx.beginPath();
    cx.moveTo(x, 4);
    cx.lineTo(x, bottom);
    cx.stroke();
    cx.setLineDash([]);
  }
  const isFaded = lit.causes.size > 0;
  const line = (i, strong) => {
    const y0 = laneY(chosen.laneOf[flights.from[i]]), y1 = laneY(chosen.laneOf[flights.to[i]]);
    const x0 = axis.x(flights.sent[i]), x1 = axis.x(Math.min(flights.ended[i], axis.to + (axis.to - axis.from)));
    const { colour, dash } = look(flights.kind[i]);
    const isCopy = flights.traits[i] & 1;
    cx.globalAlpha = strong ? 1 : isFaded ? 0.3 : isCopy ? 0.6 : 0.9;
    cx.strokeStyle = strong === "cause" ? colours.lit : strong === "effect" ? colours.effect : colour;
    cx.fillStyle = cx.strokeStyle;
    cx.lineWidth = strong ? 3 : isCopy ? 0.8 : 1.2;
    cx.setLineDash(strong === "effect" ? [5, 3] : strong ? [] : dash);
    const isLost = flights.end[i] > 1;
    // A lost message ends between the lanes, so that no arrow seems to arrive.
    const part = isLost ? 0.6 : 1;
    const [ex, ey] = [x0 + (x1 - x0) * part, y0 + (y1 - y0) * part];
    cx.beginPath();
    cx.moveTo(x0, y0);
    if (y0 === y1) cx.quadraticCurveTo((x0 + ex) / 2, y0 - 16, ex, ey);
    else cx.lineTo(ex, ey);
    cx.stroke();
    cx.setLineDash([]);
    if (isLost) {
      cx.lineWidth = 2;
      cx.beginPath();
      cx.moveTo(ex - 4, ey - 4);
      cx.lineTo(ex + 4, ey + 4);
      cx.moveTo(ex + 4, ey - 4);
      cx.lineTo(ex - 4, ey + 4);
      cx.stroke();
      if (chosen.lines.length <= 150) lost.push([ex, ey, flights.reasons[flights.end[i] - 2]]);
    } else if (flights.end[i] === 1 && y0 !== y1) {
      const turn = Math.atan2(ey - y0, ex - x0);
      cx.beginPath();
      cx.moveTo(ex, ey);
      cx.lineTo(ex - 7 * Math.cos(turn - 0.4), ey - 7 * Math.sin(turn - 0.4));
      cx.lineTo(ex - 7 * Math.cos(turn + 0.4), ey - 7 * Math.sin(turn + 0.4));
      cx.fill();
      // Held: a ring where it waited to the last. Overtaken: a bar across the line.
      if (flights.traits[i] & 2) {
        cx.lineWidth = 1.5;
        cx.beginPath();
        cx.arc(ex - 11 * Math.cos(turn), ey - 11 * Math.sin(turn), 3.5, 0, 7);
        cx.stroke();
      }
      if (flights.traits[i] & 4) {
        const [mx, my] = [(x0 + ex) / 2, (y0 + ey) / 2];
        cx.lineWidth = 2;
        cx.beginPath();
        cx.moveTo(mx - 5 * Math.sin(turn), my + 5 * Math.cos(turn));
        cx.lineTo(mx + 5 * Math.sin(turn), my - 5 * Math.cos(turn));
        cx.stroke();
      }
    }
    const near = flights.endEvent[i] >= 0 ? flights.endEvent[i] : flights.event[i];
    if (flights.event[i] >= 0) spots.push([x0, y0, flights.event[i]]);
    if (near >= 0) spots.push([ex, ey, near]);
    spots.push([(x0 + ex) / 2, (y0 + ey) / 2, near]);
  };
  const lost = [];
  const strength = (i) => {
    const [sent, end] = [flights.event[i], flights.endEvent[i]];
    if (end >= 0 && lit.causes.has(end) && lit.causes.has(sent)) return "cause";
    if (sent >= 0 && (lit.effects.has(sent) || sent === lit.event) && (end < 0 || lit.effects.has(end))) return "effect";
    return null;
  };
  const strong = [];
  for (const i of chosen.lines) {
    const how = strength(i);
    if (how) strong.push([i, how]);
    else line(i, null);
  }
  cx.globalAlpha = isFaded ? 0.4 : 1;
  for (const i of chosen.marks) {
    const x = axis.x(events.at[i]), y = laneY(chosen.laneOf[events.node[i] - 1]);
    mark(cx, run, i, x, y);
    spots.push([x, y, i]);
  }
  strong.forEach(([i, how]) => line(i, how));
  cx.globalAlpha = 1;
  const ring = (i, colour, size) => {
    if (events.at[i] < axis.from || events.at[i] > axis.to || !events.node[i]) return;
    const lane = chosen.laneOf[events.node[i] - 1];
    if (lane < 0) return;
    cx.strokeStyle = colour;
    cx.lineWidth = 2.5;
    cx.beginPath();
    if (size > 6) cx.rect(axis.x(events.at[i]) - size, laneY(lane) - size, 2 * size, 2 * size);
    else cx.arc(axis.x(events.at[i]), laneY(lane), size, 0, 7);
    cx.stroke();
  };
  lit.effects.forEach((i) => ring(i, colours.effect, 4));
  lit.causes.forEach((i) => ring(i, colours.lit, 6));
  if (lit.event >= 0) ring(lit.event, colours.ink, 9);
  cx.textAlign = "left";
  cx.fillStyle = colours.ink;
  const taken = [];
  for (const [x, y, reason] of lost) {
    const wide = cx.measureText(reason).width;
    const at = Math.min(x + 7, axis.right - wide);
    if (taken.some(([tx, ty, tw]) => Math.abs(ty - y) < 13 && at < tx + tw + 4 && tx < at + wide + 4)) continue;
    cx.fillText(reason, at, y);
    taken.push([at, y, wide]);
  }
  for (const finding of run.findings) {
    if (finding.at_us === null || finding.verdict === "held" || finding.at_us < axis.from || finding.at_us > axis.to) continue;
    const x = axis.x(finding.at_us);
    cx.strokeStyle = cx.fillStyle = finding.verdict === "failed" ? colours.bad : colours.soft;
    cx.lineWidth = 1.5;
    cx.setLineDash([4, 3]);
    cx.beginPath();
    cx.moveTo(x, 2);
    cx.lineTo(x, bottom);
    cx.stroke();
    cx.setLineDash([]);
    cx.beginPath();
    cx.moveTo(x - 5, 1);
    cx.lineTo(x + 5, 1);
    cx.lineTo(x, 10);
    cx.fill();
  }
  if (run.difference) drawDifference(cx, axis, run.difference.at_us, bottom);
  const { first, last, from_us, to_us } = run.window;
  if (first > 1 || last < run.head.events) {
    cx.fillStyle = colours.shade;
    const [from, to] = inView(from_us, to_us);
    if (from > axis.left) cx.fillRect(axis.left, 0, from - axis.left, bottom);
    if (to < axis.right) cx.fillRect(to, 0, axis.right - to, bottom);
  }
  cx.restore();
  return { spots, high, wide };
};

// Where two runs part: a line over all lanes, with its name if there is room.
const drawDifference = (cx, axis, at, bottom) => {
  if (at < axis.from || at > axis.to) return;
  const x = axis.x(at), text = "first difference", long = cx.measureText(text).width;
  cx.strokeStyle = cx.fillStyle = colours.wrong;
  cx.lineWidth = 2;
  cx.setLineDash([8, 3, 2, 3]);
  cx.beginPath();
  cx.moveTo(x, 2);
  cx.lineTo(x, bottom);
  cx.stroke();
  cx.setLineDash([]);
  cx.textAlign = "left";
  cx.fillText(text, x + 6 + long <= axis.right ? x + 6 : x - 6 - long, 9);
};

// One mark per kind of event, told apart by shape.
const mark = (cx, run, i, x, y) => {
  const word = run.event_kinds[run.events.kind[i]];
  cx.fillStyle = cx.strokeStyle = colours.ink;
  cx.lineWidth = 1.3;
  cx.beginPath();
  if (word === "row") {
    cx.moveTo(x, y - 5);
    cx.lineTo(x + 4, y);
    cx.lineTo(x, y + 5);
    cx.lineTo(x - 4, y);
    cx.closePath();
    // Full if the row has entries now, else empty.
    const note = run.events.note[i] ? run.notes[run.events.note[i] - 1] : "";
    note && !note.startsWith("no entries") ? cx.fill() : cx.stroke();
  } else if (word === "child_started" || word === "child_stopped") {
    cx.rect(x - 4, y - 1, 8, 2);
    if (word === "child_started") cx.rect(x - 1, y - 4, 2, 8);
    cx.fill();
  } else if (word === "boot" || word === "resume") {
    cx.moveTo(x - 4, y + 5);
    cx.lineTo(x + 5, y);
    cx.lineTo(x - 4, y - 5);
    cx.closePath();
    cx.fill();
  } else if (word === "stop" || word === "pause" || word === "panicked") {
    cx.rect(x - 4, y - 4, 8, 8);
    word === "pause" ? cx.stroke() : cx.fill();
  } else if (word === "timer") {
    cx.moveTo(x, y);
    cx.lineTo(x, y - 7);
    cx.stroke();
  } else if (word === "view") {
    cx.rect(x - 3, y - 3, 6, 6);
    cx.stroke();
  } else {
    cx.arc(x, y, 1.8, 0, 7);
    cx.fill();
  }
};
