"use strict";
const firstDraw = performance.now();
const all = (wanted) => [...document.querySelectorAll(wanted)];
const one = (wanted) => document.querySelector(wanted);
const frame = () => new Promise((done) => requestAnimationFrame(() => done()));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const settled = async () => { await frame(); await frame(); };

// The page's hash, by letter.
const hash = () => Object.fromEntries(location.hash.slice(1).split("&").map((part) => [part[0], part.slice(2)]));
const view = () => hash().v.split("-").map(Number);
const diagram = (run = 0) => all("canvas[data-left]")[run];
const counts = (run = 0) => {
  const { messages, marks, drawn } = all(".counts")[run].dataset;
  return { messages: Number(messages), marks: Number(marks), drawn: Number(drawn) };
};

const point = (canvas, kind, x, y, more = {}) => {
  const box = canvas.getBoundingClientRect();
  const Kind = kind === "wheel" ? WheelEvent : PointerEvent;
  canvas.dispatchEvent(new Kind(kind, { bubbles: true, cancelable: true, pointerId: 1, button: 0, clientX: box.left + x, clientY: box.top + y, ...more }));
};
const clickAt = (canvas, x, y) => { point(canvas, "pointerdown", x, y); point(canvas, "pointerup", x, y); };
// Where an instant is on the axis, if idle time is not folded; and the middle of a lane.
const xOf = (at, run = 0) => {
  const { left, right } = diagram(run).dataset, [from, to] = view();
  return Number(left) + (at - from) * (right - left) / (to - from);
};
const yOf = (lane) => 20 + 30 * lane + 15;
const key = (name, more = {}) => (document.activeElement || document.body)
  .dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more }));

const listed = (what) => all(".chain." + what + " button").map((button) => Number(button.dataset.event));
const choose = async (which, name) => {
  const place = all("details.drop").find((it) => it.querySelector("summary").textContent.startsWith(which));
  place.open = true;
  [...place.querySelectorAll("label")].find((label) => label.textContent === name).click();
  await settled();
};
const type = async (label, text) => {
  const input = one("input[aria-label='" + label + "']");
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
  await settled();
};
const press = async (text) => {
  all("button").find((button) => button.textContent === text).click();
  await settled();
};

const answer = async (port, work) => {
  let result = null;
  try { await settled(); result = await work(); } catch (error) { seen.errors.push(String(error.stack || error)); }
  fetch("http://127.0.0.1:" + port + "/", { method: "POST", mode: "no-cors", body: JSON.stringify({ errors: seen.errors, result: result === undefined ? null : result }) });
};
