// The one time axis. Idle stretches can be folded: between two instants at which something is drawn there
// is then never more room than a few times that of a usual message.

let GUTTER = 96;
const MARGIN = 14;

const axisOf = (from, to, wide, instants) => {
  const left = GUTTER, right = Math.max(wide - MARGIN, GUTTER + 50);
  const room = right - left;
  if (!instants || instants.length < 2) {
    const scale = room / Math.max(to - from, 1);
    return {
      from, to, left, right, folds: [],
      x: (t) => left + (t - from) * scale,
      t: (x) => Math.round(from + (x - left) / scale),
    };
  }
  const times = [from, ...instants.filter((t) => t > from && t < to), to];
  const gaps = [];
  for (let i = 1; i < times.length; i++) gaps.push(times[i] - times[i - 1]);
  const sorted = Float64Array.from(gaps.filter((gap) => gap > 0)).sort();
  const longest = Math.max(1, (sorted[Math.floor(sorted.length * 0.8)] || 1) * 2);
  const total = gaps.reduce((sum, gap) => sum + Math.min(gap, longest), 0);
  const places = [left];
  const folds = [];
  for (let i = 0; i < gaps.length; i++) {
    const wide = Math.min(gaps[i], longest) * room / Math.max(total, 1);
    if (gaps[i] > longest) folds.push(places[i] + wide / 2);
    places.push(places[i] + wide);
  }
  const between = (known, values, wanted) => {
    const next = clamp(search(known, wanted), 1, known.length - 1);
    const wide = known[next] - known[next - 1];
    const part = wide > 0 ? (wanted - known[next - 1]) / wide : 0;
    return values[next - 1] + part * (values[next] - values[next - 1]);
  };
  return {
    from, to, left, right, folds,
    x: (t) => between(times, places, t),
    t: (x) => Math.round(between(places, times, x)),
  };
};

// Instants for labels, on round numbers.
const ticks = (axis) => {
  const room = axis.right - axis.left;
  const most = Math.max(2, Math.floor(room / 110));
  if (axis.folds.length) {
    const list = [];
    for (let i = 0; i <= most; i++) {
      const at = axis.t(axis.left + room * i / most);
      if (!list.length || at > list[list.length - 1]) list.push(at);
    }
    return list;
  }
  const span = axis.to - axis.from;
  let step = 1;
  while (span / step > most) {
    const digit = Number(String(step)[0]);
    step = digit === 1 ? step * 2 : digit === 2 ? step * 2.5 : step * 2;
  }
  const list = [];
  for (let at = Math.ceil(axis.from / step) * step; at <= axis.to; at += step) list.push(at);
  return list;
};

const drawTicks = (cx, axis, top, high, labels) => {
  cx.strokeStyle = colours.line;
  cx.fillStyle = colours.soft;
  cx.lineWidth = 1;
  cx.textAlign = "center";
  let last = -Infinity;
  for (const at of ticks(axis)) {
    const x = Math.round(axis.x(at)) + 0.5;
    cx.beginPath();
    cx.moveTo(x, top);
    cx.lineTo(x, top + high);
    cx.stroke();
    if (!labels) continue;
    const text = time(at), half = cx.measureText(text).width / 2;
    const place = clamp(x, axis.left + half - 20, axis.right + MARGIN - half - 2);
    if (place - half > last + 8) {
      cx.fillText(text, place, top + high + 9);
      last = place + half;
    }
  }
};
