// The parts of the page that are text: head, findings, filters, the selected event.

const VERDICTS = { pass: "✓ pass", fail: "✗ fail", inconclusive: "? inconclusive" };

const curvesText = (run) => {
  const lines = ["at_us,absent,ghost,wrong"];
  for (const [at, [absent, ghost, wrong]] of run.curves.defects) lines.push([at, absent, ghost, wrong].join(","));
  lines.push("", "from_us,kind,sent,bytes,lost");
  const field = (text) => (/[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text);
  for (const kind of run.curves.kinds) {
    kind.sent.forEach((sent, bin) => {
      if (sent || kind.lost[bin]) lines.push([bin * run.curves.bin_us, field(kind.kind), sent, kind.bytes[bin], kind.lost[bin]].join(","));
    });
  }
  return lines.join("\n") + "\n";
};

const headOf = (run) => {
  const { head } = run;
  const fact = (name, value) => value !== null && value !== "" && $("div", {}, $("dt", {}, name), $("dd", {}, shown(value)));
  const safe = head.scenario.replace(/[^A-Za-z0-9._-]+/g, "-");
  return $("header", {},
    $("h1", {}, $("span", { class: "verdict " + head.verdict }, VERDICTS[head.verdict] || head.verdict), " ",
      shown(head.scenario) + ", " + shown(head.strategy) + ", seed " + head.seed),
    $("p", {}, shown(head.reason)),
    head.summary && $("p", { class: "soft" }, shown(head.summary)),
    $("dl", { class: "facts" }, fact("ends at", time(head.end_us)), fact("events", number(head.events)), fact("messages", head.messages),
      fact(head.converged_us === null ? "views" : "views equal since", head.converged_us === null ? "not equal at the end" : time(head.converged_us)), fact("build", head.build), fact("digest", head.digest)),
    command(head.repeat, "the command that repeats the run"),
    run.window.left_out && $("p", { class: "note" }, run.window.left_out),
    $("details", {}, $("summary", {}, "Scenario, downloads and other forms"),
      $("div", { class: "command" }, download(safe + ".toml", run.scenario, "download the scenario"), download(safe + "-curves.csv", curvesText(run), "download the curves")),
      $("pre", { tabindex: 0 }, run.scenario),
      head.commands.map(([what, text]) => [$("p", { class: "soft" }, what), command(text, what)])));
};

const WORDS = { failed: "✗ failed", documented: "! documented", open: "? open", held: "✓ held" };

// A known anomaly, as a name and a sentence.
const anomalyOf = ({ id, title, summary }) => [$("b", {}, id + ": " + title + "."), " " + summary.charAt(0).toUpperCase() + summary.slice(1) + (/[.!?]$/.test(summary) ? "" : ".")];

const findingsOf = (run, go) => {
  const item = (finding) => $("li", {},
    $("span", { class: "word " + ({ failed: "fail", held: "pass" }[finding.verdict] || "") }, WORDS[finding.verdict]),
    finding.at_us !== null && $("button", { type: "button", onclick: () => go(finding), "aria-label": "go to " + time(finding.at_us) }, time(finding.at_us)),
    $("b", {}, shown(finding.what)), finding.line ? $("span", { class: "soft" }, " line " + finding.line) : null, ": ", shown(finding.detail),
    finding.anomaly && $("span", {}, " (looks like " + finding.anomaly + ")"));
  const first = run.findings.slice(0, 12), rest = run.findings.slice(12);
  return $("section", {}, $("h2", {}, "Findings"),
    $("ul", { class: "findings" }, first.map(item)),
    rest.length > 0 && $("details", {}, $("summary", {}, counted(rest.length, "further finding")), $("ul", { class: "findings" }, rest.map(item))),
    run.anomalies.map((anomaly) => $("p", { class: "note" }, anomalyOf(anomaly))),
    run.steps.length > 0 && $("details", {}, $("summary", {}, counted(run.steps.length, "step") + " of the script"),
      $("ul", { class: "findings" }, run.steps.map((mark) => $("li", {},
        $("button", { type: "button", onclick: () => go({ at_us: mark.at_us, event: null }) }, time(mark.at_us)), shown(mark.text))))));
};

const KEYS = [
  ["← →", "previous, next event that the filters show"], ["Shift ← →", "move the part that is looked at"], ["+ −", "look closer, or at more"],
  ["0", "the whole run"], ["f", "the first failure"], ["c", "the cause of the selected event"], ["e", "its first effect"],
  ["i", "fold idle time"], ["/", "search"], ["Esc", "select nothing"],
];

const keysOf = () => $("details", {}, $("summary", {}, "Keys and signs"),
  $("p", {}, KEYS.map(([keys, what]) => [$("kbd", {}, keys), " " + what + ". "])),
  $("p", {}, "Drag in the map to choose a part of the run, turn the wheel over the diagram to look closer, click on an event to see what led to it. " +
    "Lines are messages, with the colour and dash of their kind: an arrow arrives, a cross is lost, a ring at the arrow was held, a bar across was overtaken by a later one, a thin line is a copy. " +
    "On the lanes: a full diamond is a row with entries, an empty one a row without, + and − a child that starts or stops, a triangle a boot or the end of a pause, a square a stop or (empty) a pause, " +
    "a small square a changed view, a stroke a timer, a dot anything else. Hatched: the node is down. Shaded: paused, or (flat) cut off. " +
    "Of the selected event, causes have a thick line and rings, effects a dashed line and small rings."));

// Names to choose from; none chosen is all.
const chooser = (label, names, chosen, changed) => {
  const boxes = names.map((name) => {
    const box = $("input", { type: "checkbox" });
    box.checked = chosen().includes(name);
    box.addEventListener("change", () => {
      const next = chosen().filter((other) => other !== name);
      changed(box.checked ? [...next, name] : next);
    });
    return [name, box, $("label", {}, box, shown(name))];
  });
  const summary = $("summary", {}, label);
  const refresh = () => {
    boxes.forEach(([name, box]) => { box.checked = chosen().includes(name); });
    summary.textContent = chosen().length ? label + " (" + chosen().length + ")" : label;
  };
  const none = $("button", { type: "button", onclick: () => changed([]) }, "all");
  const place = $("details", { class: "drop" }, summary, $("div", {}, none, boxes.map(([, , made]) => made)));
  place.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { place.open = false; summary.focus(); event.stopPropagation(); }
  });
  listen(document, "click", (event) => { if (!place.contains(event.target)) place.open = false; });
  refresh();
  return { place, refresh };
};

const CHAIN_SHOWN = 400;

const selectionOf = (run, lit, select) => {
  if (lit.event < 0) return $("p", { class: "soft" }, "No event is selected. Click on one in the diagram, or use the keys.");
  const { events } = run;
  const item = (i) => $("li", { class: i === lit.event ? "is" : null },
    $("button", { type: "button", class: "mono", "data-event": events.id[i], onclick: () => select(i), "aria-current": i === lit.event ? "true" : null }, events.line(i)));
  const causes = [...lit.causes].sort((a, b) => a - b), effects = [...lit.effects].sort((a, b) => a - b);
  const first = causes[0];
  const cut = events.causeId[first] && !events.isTimerOfItself(first);
  return $("div", {}, $("p", { class: "mono", "aria-live": "polite" }, events.line(lit.event)),
    $("div", { class: "grid" },
      $("div", {}, $("h3", {}, "What led to it"), cut ? $("p", { class: "soft" }, "Earlier causes are outside the events that are held.") : null,
        causes.length > CHAIN_SHOWN ? $("p", { class: "soft" }, number(causes.length - CHAIN_SHOWN) + " earlier ones are not listed.") : null,
        $("ul", { class: "chain causes" }, causes.slice(-CHAIN_SHOWN).map(item))),
      $("div", {}, $("h3", {}, "What came of it"),
        effects.length ? $("ul", { class: "chain effects" }, effects.slice(0, CHAIN_SHOWN).map(item)) : $("p", { class: "soft" }, "Nothing that is held."),
        effects.length > CHAIN_SHOWN ? $("p", { class: "soft" }, number(effects.length - CHAIN_SHOWN) + " more are not listed.") : null)));
};
