// A campaign: groups of failures, all seeds by verdict, what was exercised, and how fast.

const CODES = ["not made", "held", "open", "known failure", "new failure"];
// So many cells or seeds that ended so.
const codeCount = (count, code) => number(count) + " " + CODES[code] + (code >= 3 && count !== 1 ? "s" : "");

// The cells of a row of the map, in lines of so many.
const layOut = (row, wide) => {
  const size = row.count <= 400 ? 12 : row.count <= 6000 ? 7 : 4;
  const columns = Math.max(1, Math.floor((wide - 2) / size));
  return { size, columns, lines: Math.ceil(row.count / columns) };
};

const drawCell = (cx, code, x, y, size) => {
  const inner = size - 1;
  if (code === 0) {
    cx.strokeStyle = colours.line;
    cx.lineWidth = 1;
    if (size > 4) cx.strokeRect(x + 0.5, y + 0.5, inner - 1, inner - 1);
    return;
  }
  // A failure fills its cell; a known one half of it, over a corner; what is open is a smaller square.
  cx.fillStyle = [null, colours.line, colours.soft, colours.effect, colours.bad][code];
  if (code === 3) {
    cx.beginPath();
    cx.moveTo(x, y + inner);
    cx.lineTo(x + inner, y + inner);
    cx.lineTo(x + inner, y);
    cx.fill();
  } else if (code === 2 && size > 4) cx.fillRect(x + inner / 4, y + inner / 4, inner / 2, inner / 2);
  else cx.fillRect(x, y, inner, inner);
};

const mapOf = (campaign, toGroup, chosen) => {
  const { map } = campaign;
  const told = $("div", { class: "note", role: "status" }, "Choose a cell: with a click, or with the arrow keys in a row.");
  // Seeds are larger than what a number counts exactly.
  const perCell = BigInt(map.per_cell), isOne = perCell === 1n;
  const firstOf = (cell) => BigInt(map.first) + BigInt(cell) * perCell;
  const seedsOf = (cell) => (isOne ? "seed " + firstOf(cell) : "seeds " + firstOf(cell) + " to " + (firstOf(cell) + perCell - 1n));
  const rows = map.rows.map((row) => ({
    ...row, chosen: -1,
    codes: numbers(row.codes, row.count, Uint8Array), seeds: numbers(row.seeds, row.count, Float64Array),
    groups: numbers(row.groups, row.count, Int32Array), made: numbers(row.made, row.count, Float64Array),
  }));
  const suite = (row) => row.strategy + (row.scenario === "generated" ? "" : ", " + row.scenario);
  const choose = (row, cell) => {
    rows.forEach((other) => { other.chosen = other === row ? cell : -1; });
    draw();
    const code = row.codes[cell], seed = firstOf(cell) + BigInt(row.seeds[cell]);
    const group = row.groups[cell] ? campaign.groups[row.groups[cell] - 1] : null;
    const of = row.made[cell] > 1 ? "; of " + counted(row.made[cell], "run") + ", the worst is seed " + seed + ": " : ": ";
    told.replaceChildren($("div", {}, $("p", {}, $("b", {}, shown(suite(row)) + ", " + seedsOf(cell)), of + CODES[code]),
      group && $("p", {}, shown((group.name ? group.name + ": " : "") + group.title), " ",
        $("button", { type: "button", onclick: () => toGroup(row.groups[cell] - 1) }, "go to the group")),
      code > 0 && command(row.command[0] + seed + ".." + (seed + 1n) + row.command[1], "the command that makes the run")));
    chosen(rows.indexOf(row), cell);
  };
  for (const row of rows) {
    row.canvas = $("canvas", { tabindex: 0, role: "img" });
    const counts = CODES.map((_, code) => [row.codes.reduce((sum, one) => sum + (one === code ? 1 : 0), 0), code]).filter(([count]) => count);
    row.counts = counts.map(([count, code]) => codeCount(count, code)).join(", ") + (isOne ? "" : ", in cells of " + counted(Number(perCell), "seed") + " by the worst of each");
    row.canvas.setAttribute("aria-label", suite(row) + ": " + row.counts);
    row.canvas.addEventListener("click", (event) => {
      const box = row.canvas.getBoundingClientRect(), { size, columns } = row.layout;
      const column = Math.floor((event.clientX - box.left) / size), line = Math.floor((event.clientY - box.top) / size);
      const cell = line * columns + column;
      if (column < columns && cell < row.count) choose(row, cell);
    });
    row.canvas.addEventListener("keydown", (event) => {
      const worst = (way) => {
        for (let cell = row.chosen + way; cell >= 0 && cell < row.count; cell += way) if (row.codes[cell] >= 3) return cell;
        return row.chosen;
      };
      const to = { ArrowLeft: () => row.chosen - 1, ArrowRight: () => row.chosen + 1, ArrowUp: () => row.chosen - row.layout.columns,
        ArrowDown: () => row.chosen + row.layout.columns, Home: () => 0, End: () => row.count - 1, n: () => worst(1), p: () => worst(-1) };
      if (!Object.hasOwn(to, event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const cell = clamp(to[event.key](), 0, row.count - 1);
      choose(row, cell);
    });
  }
  const draw = () => {
    for (const row of rows) {
      const wide = row.canvas.parentNode.clientWidth;
      row.layout = layOut(row, wide);
      const { size, columns, lines } = row.layout;
      const [cx] = canvasFor(row.canvas, lines * size + 2);
      for (let cell = 0; cell < row.count; cell++) drawCell(cx, row.codes[cell], cell % columns * size, Math.floor(cell / columns) * size, size);
      if (row.chosen >= 0) {
        cx.strokeStyle = colours.ink;
        cx.lineWidth = 2;
        cx.strokeRect(row.chosen % columns * size, Math.floor(row.chosen / columns) * size, size, size);
      }
    }
  };
  const key = (code) => {
    const canvas = $("canvas", { "aria-hidden": "true", class: "key" });
    return { code, canvas, place: $("span", { class: "legend" }, canvas, CODES[code]) };
  };
  const keys = [1, 2, 3, 4, 0].map(key);
  const place = $("section", { class: "seeds" }, $("h2", {}, "All seeds by verdict"),
    $("p", {}, keys.map((it) => [it.place, " "]), isOne ? "A cell is one seed." : "A cell is of " + counted(Number(perCell), "seed") + ", and shows the worst.", " ",
      $("span", { class: "soft" }, "Keys: arrows, ", $("kbd", {}, "n"), " next failure, ", $("kbd", {}, "p"), " previous one.")),
    rows.map((row) => $("div", { class: "maprow" }, $("p", {}, $("b", {}, shown(suite(row))), $("span", { class: "soft" }, " " + row.counts)), $("div", {}, row.canvas))),
    map.left_out > 0 && $("p", { class: "note" }, counted(map.left_out, "row") + " are not drawn."),
    map.beyond !== "0" && $("p", { class: "note" }, number(map.beyond) + " further seeds are not drawn: none of them is made."),
    campaign.saved > 0 && $("p", { class: "note" }, counted(campaign.saved, "run") + " of saved failures (--corpus) are not in the map."), told);
  const all = () => {
    draw();
    for (const { code, canvas } of keys) {
      canvas.style.width = "13px";
      const [cx] = canvasFor(canvas, 13);
      drawCell(cx, code, 0, 0, 12);
    }
  };
  const chooseAt = (row, cell) => { if (rows[row] && cell < rows[row].count) choose(rows[row], cell); };
  return { place, draw: all, chooseAt };
};

const SPEED_HIGH = 150;

const speedOf = (suites) => {
  const drawn = suites.filter((suite) => suite.speed.length > 2).slice(0, 7);
  if (!drawn.length) return null;
  const canvas = $("canvas", { role: "img", "aria-label": "runs per second and core, by seed" });
  const draw = () => {
    GUTTER = 70;
    const [cx, wide] = canvasFor(canvas, SPEED_HIGH);
    const points = drawn.flatMap((suite) => suite.speed.map(([seed, runs, speed]) => [Number(seed), runs, speed]));
    const most = Math.max(1, ...points.map(([, , speed]) => speed));
    const low = SPEED_HIGH - 24, left = GUTTER, right = wide - MARGIN;
    const seeds = points.map(([seed]) => seed), first = Math.min(...seeds), last = Math.max(first + 1, ...seeds);
    const x = (seed) => left + (seed - first) * (right - left) / (last - first);
    cx.strokeStyle = colours.line;
    cx.lineWidth = 1;
    cx.strokeRect(left, 8, right - left, low - 8);
    cx.fillStyle = colours.soft;
    cx.textAlign = "right";
    cx.fillText(number(most), left - 6, 12);
    cx.fillText("0", left - 6, low - 4);
    cx.textAlign = "left";
    cx.fillText("seed " + drawn[0].speed[0][0], left, low + 12);
    cx.textAlign = "right";
    cx.fillText(drawn[0].speed[drawn[0].speed.length - 1][0], right, low + 12);
    drawn.forEach((suite, place) => {
      const { colour, dash } = look(place);
      cx.strokeStyle = colour;
      cx.lineWidth = 2;
      cx.setLineDash(dash);
      cx.beginPath();
      for (const [seed, , speed] of suite.speed) cx.lineTo(x(Number(seed)), low - speed * (low - 12) / most);
      cx.stroke();
    });
    cx.setLineDash([]);
  };
  const names = drawn.map((suite, place) => legend("k" + (place % 7), dashes[place % dashes.length], shown(suiteName(suite))));
  return { place: $("div", { class: "speed" }, $("h3", {}, "Runs per second and core, by seed"), $("p", {}, names.map((name) => [name, " "])), canvas), draw };
};

const suiteName = ({ strategy, scenario }) => strategy + (scenario === "generated" ? "" : ", " + scenario);

const groupOf = (group, place, anomalies) => {
  const head = (group.name ? group.name + ": " : "") + group.title;
  const held = group.forms.find((form) => form.run !== null);
  const anomaly = group.name && anomalies.find((it) => it.id === group.name.replace("?", ""));
  const size = ([steps, nodes]) => counted(steps, "step") + " on " + counted(nodes, "node");
  const form = (it) => $("li", {},
    $("p", {}, $("code", {}, it.fingerprint), it.before && it.after ? ": shrunk from " + size(it.before) + " to " + size(it.after) : "", " ",
      it.run !== null && runLink(it.run, "its run", "the run of " + it.fingerprint)),
    it.run === null && [it.no_run && $("p", { class: "soft" }, shown(it.no_run)), command(it.report, "the command that makes its report")],
    it.scenario && $("details", {}, $("summary", {}, "its scenario"),
      $("div", { class: "command" }, download(it.fingerprint + ".toml", it.scenario, "download the scenario")), $("pre", { tabindex: 0 }, it.scenario)));
  return $("details", { class: "group", id: "group-" + place },
    $("summary", {}, $("b", { class: group.is_known ? "soft" : "fail" }, (group.is_known ? "known " : "✗ ") + shown(head)), " ",
      shown(suiteName(group)) + ", " + counted(group.runs, "run") + ", the first with seed " + group.seed, " ",
      held && runLink(held.run, "its run", "the run of " + head)),
    group.detail && $("p", {}, (group.at_us === null ? "" : time(group.at_us) + " ") + (group.node ? shown(group.node) + ": " : ""), shown(group.detail)),
    anomaly && $("p", { class: "note" }, group.name.endsWith("?") && "It looks like this one, and was not shrunk to tell. ", anomalyOf(anomaly)),
    command(group.repeat, "the command that shows it again"),
    group.forms.length > 0 && $("ul", { class: "findings" }, group.forms.map(form)),
    group.more_forms > 0 && $("p", { class: "soft" }, counted(group.more_forms, "further shrunk form") + " in the directory."),
    group.unshrunk > 0 && $("p", { class: "soft" }, counted(group.unshrunk, "run") + " of them not shrunk."));
};

const campaignPage = (campaign) => (page) => {
  const news = campaign.groups.filter((group) => !group.is_known), known = campaign.groups.filter((group) => group.is_known);
  const made = campaign.groups.map((group, place) => groupOf(group, place, campaign.anomalies));
  if (news.length <= 3) made.slice(0, news.length).forEach((it) => { it.open = true; });
  const toGroup = (place) => {
    made[place].hidden = false;
    made[place].open = true;
    made[place].scrollIntoView({ block: "start" });
    made[place].querySelector("summary").focus();
  };
  // The filter, the open groups and the chosen cell are in the hash.
  const parts = new URLSearchParams(opened() === null ? location.hash.slice(1) : "");
  const { signal } = closing;
  const save = () => {
    // What was opened on the front may be told when a run is shown already.
    if (signal.aborted || opened() !== null) return;
    const now = new URLSearchParams();
    if (wanted.value) now.set("q", wanted.value);
    const open = made.flatMap((it, place) => (it.open !== wasOpen(place) ? [place] : []));
    if (open.length) now.set("g", open.join("."));
    if (cell) now.set("m", cell.join("."));
    try { history.replaceState(null, "", "#" + now); } catch { location.replace("#" + now); }
  };
  const wasOpen = (place) => news.length <= 3 && place < news.length;
  let cell = null;
  const none = $("p", { class: "note", hidden: true }, "No group has this text.");
  const wanted = $("input", { type: "search", "aria-label": "only groups with this text", placeholder: "filter", oninput: () => { filter(); save(); } });
  const filter = () => {
    const text = wanted.value.toLowerCase();
    made.forEach((it) => { it.hidden = !it.querySelector("summary").textContent.toLowerCase().includes(text); });
    none.hidden = made.some((it) => !it.hidden);
  };
  wanted.value = parts.get("q") || "";
  for (const place of (parts.get("g") || "").split(".")) if (place !== "" && made[place]) made[place].open = !made[place].open;
  filter();
  made.forEach((it) => it.addEventListener("toggle", save));
  const map = mapOf(campaign, toGroup, (row, at) => { cell = [row, at]; save(); });
  const speed = speedOf(campaign.suites);
  const table = (heads, rows, label) => $("div", { class: "scroll plain", tabindex: 0, role: "region", "aria-label": label },
    $("table", {}, $("thead", {}, $("tr", {}, heads.map((text) => $("th", { scope: "col" }, text)))), $("tbody", {}, rows)));
  const [met, gone] = campaign.known;
  page.append($("div", {},
    $("header", {},
      $("h1", {}, $("span", { class: "verdict " + campaign.verdict }, VERDICTS[campaign.verdict] || "✗ " + campaign.verdict), " ", shown(campaign.result)),
      $("p", {}, shown(campaign.heading)),
      $("dl", { class: "facts" }, campaign.facts.map(([name, value]) => $("div", {}, $("dt", {}, name), $("dd", {}, shown(value))))),
      campaign.holes.map((text) => $("p", { class: "note" }, shown(text))),
      campaign.never.map((text) => $("p", { class: "note" }, "never: " + shown(text)))),
    $("section", {}, $("h2", {}, news.length ? counted(news.length, "new group") + " of failures" : "No new failures"),
      (made.length > 8 || wanted.value) && $("p", {}, wanted), none,
      made.filter((_, place) => !campaign.groups[place].is_known)),
    known.length > 0 && $("section", {}, $("h2", {}, counted(known.length, "group") + " of known failures"),
      made.filter((_, place) => campaign.groups[place].is_known)),
    campaign.more_groups > 0 && $("p", { class: "note" }, counted(campaign.more_groups, "further group") + " are not in this page."),
    met.length + gone.length > 0 && $("details", {}, $("summary", {}, "Known failures: " + number(met.length) + " met, " + number(gone.length) + " not met"),
      $("ul", {}, met.map((name) => $("li", {}, shown(name) + ": met")), gone.map((name) => $("li", {}, shown(name) + ": not met")))),
    map.place,
    $("section", {}, $("h2", {}, "Runs and speed"),
      table(["strategy", "scenario", "runs", "how they ended", "events", "runs per second and core", "events per second and core"], campaign.suites.map((suite) => $("tr", {},
        $("th", { scope: "row" }, shown(suite.strategy)), $("td", {}, shown(suite.scenario)), $("td", {}, number(suite.runs)),
        $("td", {}, suite.endings.map(([word, count]) => number(count) + " " + word).join(", ")), $("td", {}, number(suite.events)),
        $("td", {}, suite.wall_us < 1000 ? "–" : number(suite.runs_per_s)), $("td", {}, suite.wall_us < 1000 ? "–" : number(suite.events_per_s)))), "runs and speed"),
      campaign.claims.some((it) => it.claims.length) && [$("h3", {}, "Claims, with the runs in which their condition was met"),
        table(["strategy", "runs", "claims"], campaign.claims.map((it) => $("tr", {}, $("th", { scope: "row" }, shown(it.strategy)), $("td", {}, number(it.runs)),
          $("td", {}, it.claims.map(([oracle, runs]) => shown(oracle) + " in " + number(runs)).join(", ")))), "claims")],
      speed && speed.place),
    $("section", {}, $("h2", {}, "What was exercised"), $("div", { class: "grid" },
      campaign.reach.map(([title, counters]) => $("div", {}, $("h3", {}, title),
        table(["name", "count"], counters.map(([name, count]) => $("tr", {}, $("th", { scope: "row" }, shown(name)), $("td", {}, number(count)))), title))),
      campaign.families.length > 0 && $("div", {}, $("h3", {}, "families of faults"),
        table(["family", "on in runs", "did something in"], campaign.families.map(([name, on, worked]) => $("tr", { class: worked ? null : "bad" },
          $("th", { scope: "row" }, shown(name)), $("td", {}, number(on)), $("td", {}, worked ? number(worked) : "none"))), "families of faults"))))));
  const draw = () => { map.draw(); if (speed) speed.draw(); };
  draw();
  const at = /^(\d+)\.(\d+)$/.exec(parts.get("m") || "");
  if (at) map.chooseAt(Number(at[1]), Number(at[2]));
  listen(window, "resize", draw);
  listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => { readColours(); draw(); });
};
