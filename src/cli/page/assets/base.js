// Elements, texts and times. Text becomes text: nothing here makes markup of a string.

const $ = (tag, attributes, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return made;
};

// What a view listens to ends with it.
let closing = new AbortController();
const listen = (target, kind, action) => target.addEventListener(kind, action, { signal: closing.signal });

// What is not printable is written out: names come from files.
const shown = (text) =>
  String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    if (c === "\n") return "\\n";
    return "\\u{" + c.codePointAt(0).toString(16) + "}";
  });

const number = (value) => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const counted = (count, thing) => number(count) + " " + thing + (count === 1 ? "" : "s");

// Seconds with as many decimals as are needed, as the commands write them.
const time = (us) => {
  const rest = us % 1e6;
  const whole = (us - rest) / 1e6;
  return rest ? whole + "." + String(rest).padStart(6, "0").replace(/0+$/, "") + "s" : whole + "s";
};

// Reads a time: 12.5s, 300ms, 2m, or seconds without a unit; null if it is none.
const readTime = (text) => {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)?\s*$/.exec(text);
  if (!found) return null;
  const scale = { us: 1, ms: 1e3, s: 1e6, m: 6e7, h: 3.6e9 }[found[2] || "s"];
  return Math.round(Number(found[1]) * scale);
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// The first place whose value is not below (or, `after`, is above) `wanted`.
const search = (sorted, wanted, after) => {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (after ? sorted[middle] <= wanted : sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
};

const copyButton = (text, what) => {
  const button = $("button", { type: "button", "aria-label": "copy " + what }, "copy");
  button.addEventListener("click", () => {
    const done = (word) => { button.textContent = word; };
    const byHand = () => {
      const area = $("textarea", { class: "hidden" });
      area.value = text;
      document.body.append(area);
      area.select();
      const copied = document.execCommand("copy");
      area.remove();
      done(copied ? "copied" : "select it by hand");
    };
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(() => done("copied"), byHand);
    } else byHand();
  });
  return button;
};

const command = (text, what) => $("div", { class: "command" }, $("code", {}, shown(text)), copyButton(text, what || "the command"));

const download = (name, text, label) =>
  $("button", { type: "button", onclick: () => {
    const link = $("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  } }, label);

// Colours are those of the style sheet, so that both themes have their own.
const colours = {};
const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["back", "panel", "ink", "soft", "line", "absent", "ghost", "wrong", "good", "bad", "lit", "effect",
    "shade", "cut", "pause", "k0", "k1", "k2", "k3", "k4", "k5", "k6"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
};
const dashes = [[], [7, 3], [2, 2], [9, 3, 2, 3], [12, 4]];
const look = (kind) => ({ colour: colours["k" + (kind % 7)], dash: dashes[kind % dashes.length] });

const SVG = "http://www.w3.org/2000/svg";
const svg = (tag, attributes) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
};

// A stroke as it is drawn, for a legend. Its class is a style's variable, which follows the theme.
const legend = (variable, dash, text) => {
  const line = svg("svg", { width: 26, height: 10, "aria-hidden": "true" });
  line.append(svg("path", { d: "M0 5H26", style: "stroke: var(--" + variable + ")", "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") }));
  return $("span", { class: "legend" }, line, text);
};

// A canvas as wide as its place and so high, ready to be drawn on in CSS pixels.
const canvasFor = (canvas, high) => {
  const wide = canvas.clientWidth || canvas.parentNode.clientWidth;
  const scale = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(wide * scale), Math.round(high * scale)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.height = high + "px";
  }
  const cx = canvas.getContext("2d");
  cx.setTransform(scale, 0, 0, scale, 0, 0);
  cx.clearRect(0, 0, wide, high);
  cx.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
  cx.textBaseline = "middle";
  return [cx, wide];
};

// A text that fits, with an ellipsis if it must be cut; the whole text is in the lists beside.
const fitted = (cx, text, room) => {
  if (cx.measureText(text).width <= room) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (cx.measureText(text.slice(0, middle) + "…").width <= room) low = middle;
    else high = middle - 1;
  }
  return low ? text.slice(0, low) + "…" : "";
};
