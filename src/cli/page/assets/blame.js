// What `hublab blame` told: the curve on the axis of the run, and what decided the failure.

const PIVOTS_SHOWN = 5;

const blameLabel = ({ curve, jump }) => "share of branches that fail, at " + counted(curve.length, "instant") +
  (jump ? "; it jumps between " + time(jump.from_us) + " and " + time(jump.to_us) : "; no instant decided it");

const drawBlame = (canvas, { curve, jump }, axis) => {
  const [cx] = canvasFor(canvas, 84);
  const [top, low] = [8, 80];
  const y = (share) => low - (low - top) * share;
  const within = (at) => clamp(axis.x(clamp(at, axis.from, axis.to)), axis.left, axis.right);
  if (jump && jump.to_us >= axis.from && jump.from_us <= axis.to) {
    cx.fillStyle = colours.cut;
    cx.fillRect(within(jump.from_us), 0, Math.max(2, within(jump.to_us) - within(jump.from_us)), 84);
  }
  drawTicks(cx, axis, 0, 84, false);
  cx.fillStyle = colours.soft;
  cx.textAlign = "right";
  cx.fillText("100 %", GUTTER - 6, top);
  cx.fillText("0 %", GUTTER - 6, low - 2);
  if (!curve.length) return;
  const seen = curve.filter((point, i) => (curve[i + 1] || point).after_us >= axis.from && (curve[i - 1] || point).after_us <= axis.to);
  cx.save();
  cx.beginPath();
  cx.rect(axis.left, 0, axis.right - axis.left, 84);
  cx.clip();
  cx.fillStyle = colours.shade;
  cx.beginPath();
  for (const point of seen) cx.lineTo(axis.x(point.after_us), y(point.high));
  for (const point of [...seen].reverse()) cx.lineTo(axis.x(point.after_us), y(point.low));
  cx.fill();
  cx.strokeStyle = cx.fillStyle = colours.bad;
  cx.lineWidth = 2;
  cx.beginPath();
  for (const point of seen) cx.lineTo(axis.x(point.after_us), y(point.share));
  cx.stroke();
  for (const point of seen) {
    cx.beginPath();
    cx.arc(axis.x(point.after_us), y(point.share), 2.5, 0, 7);
    cx.fill();
  }
  cx.restore();
};

const blameOf = (blame, go) => {
  const pivot = (it) => $("li", {},
    $("button", { type: "button", onclick: () => go({ at_us: it.after_us, event: it.event }), "aria-label": "select event " + it.event }, "e" + it.event),
    $("b", {}, shown(it.text)), ": ", it.fails + " of " + it.of + " branches fail, with the change " + it.fails_changed,
    command("changes = [" + it.change + "]", "the line for [run] changes"));
  const first = blame.pivots.slice(0, PIVOTS_SHOWN), rest = blame.pivots.slice(PIVOTS_SHOWN);
  return $("section", { class: "blame" }, $("h2", {}, "When it became likely, and what decided it"),
    blame.sentences.map((text) => $("p", {}, shown(text))),
    blame.ended !== "complete" && $("p", { class: "note" }, "The search did not come to its end: this is a part of the answer."),
    first.length > 0 && $("ol", { class: "findings" }, first.map(pivot)),
    rest.length > 0 && $("details", {}, $("summary", {}, counted(rest.length, "further change") + " that prevent it"), $("ol", { class: "findings" }, rest.map(pivot))),
    $("p", { class: "soft" }, counted(blame.runs, "run") + "; " + counted(blame.tried, "change") + " tried, " + number(blame.flips) + " of them prevented it."));
};
