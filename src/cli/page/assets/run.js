// Runs, one or two beside each other: what is looked at, selected and filtered, and all of it in the hash.

const EFFECTS_MAX = 2000;
const FIRST_EVENTS = 500;

const runsPage = (page, data, prefix) => {
  const { signal } = closing;
  const runs = data.runs.map(openRun);
  const [main] = runs;
  const end = Math.max(...runs.map((run) => run.head.end_us), 1);
  const order = new Intl.Collator("en", { numeric: true });
  for (const run of runs) {
    run.stateAt = null;
    run.difference = data.difference;
    run.messageKinds = run.event_kinds.map((kind) => ["sent", "duplicated", "delivered", "dropped", "queued", "kind"].includes(kind));
    run.childOrder = run.children.map((_, child) => child).sort((a, b) => order.compare(run.children[a], run.children[b]));
    run.lit = { event: -1, causes: new Set(), effects: new Set() };
  }
  const state = { cursor: 0, from: 0, to: end, nodes: [], kinds: [], child: null, event: null, fold: false, text: "", node: "", what: "sent" };

  const failing = main.findings.find((finding) => finding.at_us !== null && finding.verdict === "failed") ||
    main.findings.find((finding) => finding.at_us !== null && finding.verdict !== "held");
  const important = data.difference ? data.difference.at_us : failing ? failing.at_us : null;

  // At first, as many events around what matters as a picture has room for.
  const first = () => {
    state.cursor = important === null ? end : important;
    if (main.events.count <= 2 * FIRST_EVENTS || important === null) { [state.from, state.to] = [0, end]; return; }
    const { at, count, before } = main.events;
    const place = search(at, important);
    const from = at[clamp(place - FIRST_EVENTS * 2 / 3 | 0, before, count - 1)], to = at[clamp(place + FIRST_EVENTS / 3 | 0, before, count - 1)];
    const more = Math.max(1000, (to - from) * 0.02);
    [state.from, state.to] = [Math.max(0, Math.min(from, important) - more), Math.min(end, Math.max(to, important) + more)];
  };

  // The hash: names are encoded one by one, as any character may be in them.
  const list = (names) => names.map(encodeURIComponent).join(",");
  const written = () => {
    const parts = ["t=" + state.cursor, "v=" + Math.round(state.from) + "-" + Math.round(state.to)];
    if (state.nodes.length) parts.push("n=" + list(state.nodes));
    if (state.kinds.length) parts.push("k=" + list(state.kinds));
    if (state.child !== null) parts.push("c=" + encodeURIComponent(state.child));
    if (state.event) parts.push("s=" + state.event.run + "." + state.event.id);
    if (state.fold) parts.push("i=1");
    if (state.text) parts.push("q=" + encodeURIComponent(state.text));
    if (state.node) parts.push("d=" + encodeURIComponent(state.node));
    if (state.what !== "sent") parts.push("m=" + state.what);
    return "#" + prefix + parts.join("&");
  };
  const read = () => {
    first();
    const parts = new Map(location.hash.slice(1).split("&").map((part) => [part.slice(0, 1), part.slice(2)]));
    const text = (key) => {
      try { return decodeURIComponent(parts.get(key) || ""); } catch { return ""; }
    };
    const names = (key, known) => (parts.get(key) || "").split(",").filter(Boolean)
      .map((one) => { try { return decodeURIComponent(one); } catch { return ""; } }).filter((one) => known.includes(one));
    if (/^\d+$/.test(parts.get("t") || "")) state.cursor = Math.min(Number(parts.get("t")), end);
    const view = /^(\d+)-(\d+)$/.exec(parts.get("v") || "");
    if (view && Number(view[1]) < Number(view[2])) [state.from, state.to] = [Math.min(Number(view[1]), end - 1), Math.min(Number(view[2]), end)];
    state.nodes = names("n", allNodes);
    state.kinds = names("k", allKinds);
    state.child = parts.has("c") ? text("c") : null;
    state.fold = parts.get("i") === "1";
    state.text = text("q");
    state.node = allNodes.includes(text("d")) ? text("d") : "";
    state.what = ["bytes", "lost"].includes(parts.get("m")) ? parts.get("m") : "sent";
    const event = /^(\d)\.(\d+)$/.exec(parts.get("s") || "");
    state.event = event && runs[event[1]] ? { run: Number(event[1]), id: Number(event[2]) } : null;
  };
  let own = null;
  const save = () => {
    own = written();
    try { history.replaceState(null, "", own); } catch { location.replace(own); }
  };

  // Names stand beside the lanes: as much room as the longest needs, up to a bound.
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
  const widest = Math.max(...runs.flatMap((run) => run.nodes.slice(0, 2000).map((name) => ruler.measureText(shown(name)).width)));
  GUTTER = clamp(Math.ceil(widest) + 20, 80, 220);

  const unique = (lists) => [...new Set(lists.flat())];
  const allNodes = unique(runs.map((run) => run.nodes));
  const allKinds = unique([...runs.map((run) => run.kinds), main.event_kinds.filter((kind) => !["kind", "sent", "duplicated", "delivered", "dropped", "queued"].includes(kind))]);
  const filter = {
    node: (name) => !state.nodes.length || state.nodes.includes(name),
    kind: (name) => !state.kinds.length || state.kinds.includes(name),
    get child() { return state.child; },
    about: (run, i) => {
      const known = run.childPlace || (run.childPlace = new Map(run.children.map((name, child) => [name, child])));
      const wanted = known.get(state.child);
      return wanted !== undefined && run.events.about[i] > 0 && search(run.lists[run.events.about[i] - 1], wanted) < run.lists[run.events.about[i] - 1].length &&
        run.lists[run.events.about[i] - 1][search(run.lists[run.events.about[i] - 1], wanted)] === wanted;
    },
  };

  const view = (from, to) => {
    const span = clamp(to - from, 20, end);
    const middle = (from + to) / 2;
    state.from = Math.round(clamp(middle - span / 2, 0, end - span));
    state.to = Math.round(state.from + span);
    later();
  };
  const zoom = (factor, around) => {
    const at = around === undefined ? (state.cursor >= state.from && state.cursor <= state.to ? state.cursor : (state.from + state.to) / 2) : around;
    view(at - (at - state.from) * factor, at + (state.to - at) * factor);
  };
  const show = (at) => {
    state.cursor = clamp(Math.round(at), 0, end);
    const span = state.to - state.from;
    if (state.cursor < state.from || state.cursor > state.to) view(state.cursor - span * 2 / 3, state.cursor + span / 3);
  };
  const select = (run, i) => {
    state.event = i < 0 ? null : { run: runs.indexOf(run), id: run.events.id[i] };
    if (i >= 0) show(run.events.at[i]);
    later();
  };
  const lightUp = () => {
    runs.forEach((run, r) => {
      const i = state.event && state.event.run === r ? run.events.place(state.event.id) : -1;
      if (i === run.lit.event) return;
      run.lit = i < 0 ? { event: -1, causes: new Set(), effects: new Set() }
        : { event: i, causes: new Set(run.events.chain(i)), effects: new Set(run.events.effects(i, EFFECTS_MAX)) };
      run.panels.selection.replaceChildren(selectionOf(run, run.lit, (other) => select(run, other)));
    });
  };

  // What an instant, a filter or a selection changes is drawn once per frame.
  let waiting = false, stateTimer = 0;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; if (!signal.aborted) draw(); });
  };
  const draw = () => {
    const begun = performance.now();
    lightUp();
    tools.refresh();
    for (const run of runs) drawRun(run);
    save();
    page.dataset.took = String(Math.round((performance.now() - begun) * 10) / 10);
  };

  const drawRun = (run) => {
    const { panels } = run;
    const wide = panels.stack.clientWidth;
    const chosen = choose(run, state, filter);
    let instants = null;
    if (state.fold) {
      const known = [];
      for (const i of chosen.lines) known.push(run.flights.sent[i], run.flights.ended[i]);
      for (const i of chosen.marks) known.push(run.events.at[i]);
      instants = [...new Set(known)].sort((a, b) => a - b);
    }
    const axis = axisOf(state.from, state.to, wide, instants);
    run.axis = axis;
    run.chosen = chosen;
    run.mapAxis = drawMap(panels.map, run, state, end);
    drawBand(panels.band, run, axis);
    drawDefects(panels.defects, run, axis, state.node ? run.nodes.indexOf(state.node) : -1);
    drawMessages(panels.messages, run, axis, state.what, (kind) => !state.kinds.some((one) => run.kinds.includes(one)) || filter.kind(kind));
    if (panels.queues) drawQueues(panels.queues, run, axis, (node) => filter.node(run.nodes[node]));
    if (panels.blame) drawBlame(panels.blame, run.blame, axis);
    run.spots = drawDiagram(panels.diagram, run, axis, chosen, run.lit).spots;
    const [messages, marks] = chosen.all;
    const thin = chosen.lines.length < messages || chosen.marks.length < marks
      ? "; only " + number(chosen.lines.length) + " and " + number(chosen.marks.length) + " of them are drawn: look closer" : "";
    panels.counts.textContent = counted(messages, "message") + ", " + counted(marks, "other event") + thin;
    panels.counts.dataset.messages = messages;
    panels.counts.dataset.marks = marks;
    panels.counts.dataset.drawn = chosen.lines.length;
    panels.diagram.dataset.left = axis.left;
    panels.diagram.dataset.right = axis.right;
    panels.diagram.setAttribute("aria-label", "space-time diagram from " + time(state.from) + " to " + time(state.to) + ": " + panels.counts.textContent +
      (run.difference ? "; first difference at " + time(run.difference.at_us) : ""));
    const x = axis.x(state.cursor);
    panels.cursor.style.left = x + "px";
    panels.cursor.hidden = state.cursor < state.from || state.cursor > state.to;
    const key = [state.cursor, state.nodes, state.child].join("|");
    if (run.stateKey !== key) {
      run.stateKey = key;
      run.stateAt = run.stateAt || foldOf(run);
      fill(run, panels.state, state.cursor, filter);
      panels.when.textContent = "What nodes believe at " + time(state.cursor);
    }
  };

  const strip = (title, extra, canvas, label) => {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    return $("div", { class: "strip" }, $("header", {}, $("b", {}, title), extra), canvas);
  };

  const build = (run, r) => {
    const canvas = (focusable) => $("canvas", focusable ? { tabindex: 0 } : {});
    const panels = run.panels = {
      map: canvas(true), band: canvas(), defects: canvas(), messages: canvas(), diagram: canvas(true),
      queues: run.curves.queues.length ? canvas() : null, blame: run.blame ? canvas() : null, cursor: $("div", { class: "cursor", "aria-hidden": "true" }),
      counts: $("span", { class: "soft counts" }), selection: $("div", {}), state: $("div", {}), when: $("h2", {}, ""),
    };
    const nodeCurve = $("select", { "aria-label": "whose defects", onchange: () => { state.node = nodeCurve.value; later(); } },
      $("option", { value: "" }, "all nodes"), run.nodes.map((name) => $("option", { value: name }, shown(name))));
    const measure = $("select", { "aria-label": "what of messages", onchange: () => { state.what = measure.value; later(); } },
      [["sent", "sent"], ["bytes", "bytes sent"], ["lost", "lost"]].map(([value, text]) => $("option", { value }, text)));
    panels.refresh = () => { nodeCurve.value = run.nodes.includes(state.node) ? state.node : ""; measure.value = state.what; };
    const kinds = run.curves.kinds.map(({ kind }) => {
      const place = run.kinds.indexOf(kind);
      return legend("k" + (place % 7), dashes[place % dashes.length], shown(kind));
    });
    const strips = [
      strip("Faults and steps", null, panels.band, "faults and steps of the script; they are listed under findings"),
      strip("Defects of views", [DEFECTS.map(([word, colour, dash]) => legend(colour, dash, word)), nodeCurve], panels.defects, "defects of views over time"),
      strip("Messages per " + time(run.curves.bin_us), [measure, kinds], panels.messages, "messages over time, by kind"),
      panels.queues && strip("Messages waiting", run.curves.queues.slice(0, 12).map(({ node }) => legend("k" + (node % 7), dashes[node % dashes.length], shown(run.nodes[node]))), panels.queues, "messages that wait at busy nodes, over time"),
      panels.blame && strip("Branches that fail", $("span", { class: "soft" }, "by the instant after which they have other draws; shaded: 95 % interval, and where it was decided"), panels.blame, blameLabel(run.blame)),
      strip("Space-time diagram", panels.counts, panels.diagram, "space-time diagram"),
    ];
    const map = strip("Whole run", $("span", { class: "soft" }, "bars: messages; line: defects; triangles: findings"), panels.map, "map of the whole run; arrows move, + and − change the part that is looked at");
    panels.stack = $("div", { class: "stack" }, strips, panels.cursor);
    pointer(run);
    const go = (finding) => {
      const i = finding.event ? run.events.place(finding.event) : -1;
      if (i >= 0) select(run, i);
      else { state.event = null; }
      const span = Math.min(state.to - state.from, end);
      state.cursor = finding.at_us;
      if (finding.at_us < state.from || finding.at_us > state.to) view(finding.at_us - span * 2 / 3, finding.at_us + span / 3);
      later();
      panels.stack.scrollIntoView({ block: "nearest" });
    };
    const label = runs.length > 1 ? ["left run", "right run"][r] : "the run";
    panels.top = $("article", { "aria-label": label }, headOf(run), findingsOf(run, go), run.blame && blameOf(run.blame, go));
    panels.bottom = $("article", { "aria-label": label + ": events over time" }, runs.length > 1 && $("h2", {}, label), $("div", { class: "stack" }, map), panels.stack,
      $("section", { class: "selected" }, $("h2", {}, "Selected event"), panels.selection), $("section", {}, panels.when, panels.state));
  };

  const pointer = (run) => {
    const { panels } = run;
    const place = (event, canvas) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    let from = null;
    panels.map.addEventListener("pointerdown", (event) => {
      const [x] = place(event, panels.map);
      const at = run.mapAxis.t(x);
      const isInside = at > state.from && at < state.to && state.to - state.from < end * 0.98;
      from = isInside ? { grip: at - state.from, span: state.to - state.from } : { at };
      panels.map.setPointerCapture(event.pointerId);
    });
    panels.map.addEventListener("pointermove", (event) => {
      if (!from) return;
      const at = run.mapAxis.t(place(event, panels.map)[0]);
      if (from.grip !== undefined) view(at - from.grip, at - from.grip + from.span);
      else if (Math.abs(run.mapAxis.x(at) - run.mapAxis.x(from.at)) > 4) view(Math.min(at, from.at), Math.max(at, from.at));
    });
    panels.map.addEventListener("pointerup", (event) => {
      const at = run.mapAxis.t(place(event, panels.map)[0]);
      if (from && from.at !== undefined && Math.abs(run.mapAxis.x(at) - run.mapAxis.x(from.at)) <= 4) show(at);
      from = null;
      later();
    });
    panels.map.addEventListener("pointercancel", () => { from = null; });
    let drag = null;
    for (const canvas of [panels.band, panels.defects, panels.messages, panels.queues, panels.blame, panels.diagram].filter(Boolean)) {
      canvas.addEventListener("pointerdown", (event) => {
        drag = { x: event.clientX, from: state.from, to: state.to, moved: false };
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!drag || Math.abs(event.clientX - drag.x) < 4 && !drag.moved) return;
        drag.moved = true;
        const scale = (drag.to - drag.from) / (run.axis.right - run.axis.left);
        view(drag.from - (event.clientX - drag.x) * scale, drag.to - (event.clientX - drag.x) * scale);
      });
      canvas.addEventListener("pointerup", (event) => {
        const moved = drag && drag.moved;
        drag = null;
        if (moved) return;
        const [x, y] = place(event, canvas);
        if (canvas === panels.diagram) {
          const near = nearest(run.spots, x, y);
          if (near >= 0) return select(run, near);
        }
        if (x >= run.axis.left - 6) { state.cursor = clamp(run.axis.t(clamp(x, run.axis.left, run.axis.right)), 0, end); later(); }
      });
      canvas.addEventListener("pointercancel", () => { drag = null; });
      canvas.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !event.shiftKey && canvas !== panels.diagram) return;
        event.preventDefault();
        const [x] = place(event, canvas);
        zoom(event.deltaY > 0 ? 1.25 : 0.8, run.axis.t(clamp(x, run.axis.left, run.axis.right)));
      }, { passive: false });
    }
  };
  const nearest = (spots, x, y) => {
    let best = -1, least = 12 * 12;
    for (const [sx, sy, i] of spots) {
      const far = (sx - x) ** 2 + (sy - y) ** 2;
      if (far < least) [best, least] = [i, far];
    }
    return best;
  };

  const matches = (run, text) => {
    const wanted = text.toLowerCase();
    const found = [];
    for (let i = run.events.before; i < run.events.count && found.length < 200; i++) {
      if (isChosen(run, i, filter) && run.events.line(i).toLowerCase().includes(wanted)) found.push(i);
    }
    return found;
  };

  const toolsOf = () => {
    const button = (text, label, action) => $("button", { type: "button", "aria-label": label, title: label, onclick: action }, text);
    const nodes = chooser("nodes", allNodes, () => state.nodes, (next) => { state.nodes = next; later(); });
    const kinds = chooser("kinds", allKinds, () => state.kinds, (next) => { state.kinds = next; later(); });
    const names = unique(runs.map((run) => run.childOrder.map((child) => run.children[child])));
    const child = $("input", { type: "text", list: "children", "aria-label": "only this child", placeholder: "child", onchange: () => {
      state.child = child.value === "" ? null : child.value;
      later();
    } });
    const cursor = $("input", { type: "text", "aria-label": "instant of the cursor", onchange: () => {
      const at = readTime(cursor.value);
      if (at !== null) show(at);
      later();
    } });
    const fold = $("button", { type: "button", onclick: () => { state.fold = !state.fold; later(); } }, "fold idle time");
    const query = $("input", { type: "search", "aria-label": "search events by text", placeholder: "search", oninput: () => { state.text = query.value; find(); } });
    const results = $("ul", { class: "chain", "aria-label": "events found" });
    const told = $("span", { class: "soft", role: "status" });
    let wait = 0;
    const find = () => {
      clearTimeout(wait);
      wait = setTimeout(() => {
        results.replaceChildren();
        told.textContent = "";
        save();
        if (state.text.length < 2) return;
        let count = 0;
        runs.forEach((run) => {
          const found = matches(run, state.text);
          count += found.length;
          results.append(...found.slice(0, 100).map((i) => $("li", {}, $("button", { type: "button", class: "mono", onclick: () => select(run, i) }, run.events.line(i)))));
        });
        told.textContent = (count >= 200 ? "200 or more events" : counted(count, "event")) + " found";
      }, 120);
    };
    const place = $("div", { class: "tools", role: "toolbar", "aria-label": "time and filters" },
      $("label", {}, "cursor", cursor), button("−", "look at more", () => zoom(2)), button("+", "look closer", () => zoom(0.5)),
      button("whole run", "look at the whole run", () => view(0, end)),
      important !== null && button(data.difference ? "first difference" : failing.verdict === "failed" ? "first failure" : "first finding", "go to what matters most", () => { first(); later(); }), fold, nodes.place, kinds.place, child,
      $("datalist", { id: "children" }, names.slice(0, 1000).map((name) => $("option", { value: name }))), query, told);
    return {
      place, query, results, find,
      refresh: () => {
        nodes.refresh();
        kinds.refresh();
        fold.setAttribute("aria-pressed", String(state.fold));
        if (document.activeElement !== child) child.value = state.child === null ? "" : state.child;
        if (document.activeElement !== cursor) cursor.value = time(state.cursor);
        if (document.activeElement !== query && query.value !== state.text) { query.value = state.text; find(); }
        runs.forEach((run) => run.panels.refresh());
      },
    };
  };

  const neighbour = (way) => {
    const r = state.event ? state.event.run : 0, run = runs[r];
    const { events } = run;
    let i = state.event ? events.place(state.event.id) + way : way > 0 ? search(events.at, state.cursor) : search(events.at, state.cursor, true) - 1;
    while (i >= events.before && i < events.count && (!isChosen(run, i, filter) || events.kind[i] === run.kindOf("kind"))) i += way;
    if (i >= events.before && i < events.count) select(run, i);
  };
  const onKey = (event) => {
    const isTyping = event.target.matches("input, select, textarea") && event.target.type !== "checkbox";
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { document.activeElement.blur(); return select(main, -1); }
    if (isTyping || (event.key.startsWith("Arrow") && event.target.matches(".scroll, pre"))) return;
    const span = state.to - state.from;
    const run = runs[state.event ? state.event.run : 0];
    const actions = {
      ArrowLeft: () => (event.shiftKey || event.target === run.panels.map ? view(state.from - span / 4, state.to - span / 4) : neighbour(-1)),
      ArrowRight: () => (event.shiftKey || event.target === run.panels.map ? view(state.from + span / 4, state.to + span / 4) : neighbour(1)),
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => view(0, end), "/": () => tools.query.focus(),
      f: () => { first(); later(); }, i: () => { state.fold = !state.fold; later(); },
      c: () => { const i = run.lit.event; if (i >= 0 && run.events.cause[i] >= 0) select(run, run.events.cause[i]); },
      e: () => { const i = run.lit.event; if (i >= 0 && run.lit.effects.size) select(run, Math.min(...run.lit.effects)); },
    };
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    if (!action) return;
    event.preventDefault();
    action();
  };

  const tools = toolsOf();
  runs.forEach(build);
  const beside = (part) => $("div", { class: "runs" + (runs.length > 1 ? " two" : "") }, runs.map((run) => run.panels[part]));
  page.append(data.difference ? differenceOf(data) : runs.length > 1 ? $("p", { class: "note" }, "Both runs are the same, event for event.") : "",
    beside("top"), $("h2", {}, "Events over time"), tools.place, tools.results, beside("bottom"), keysOf());
  runs.forEach((run) => run.panels.selection.append(selectionOf(run, run.lit)));
  read();
  draw();
  listen(document, "keydown", onKey);
  listen(window, "resize", later);
  listen(window, "hashchange", () => { if (location.hash !== own && location.hash.startsWith("#" + prefix)) { read(); later(); } });
  listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => { readColours(); later(); });
  listen(window, "beforeprint", () => draw());
};

const differenceOf = ({ difference, runs }) => $("section", { class: "note" },
  $("p", {}, $("b", {}, "First difference at event " + difference.event + ", " + time(difference.at_us) + ".")),
  difference.lines.map((line, side) => $("p", { class: "mono" }, ["left: ", "right: "][side], line === null ? "the trace ends" : line)),
  difference.headers.map((text) => $("p", { class: "soft" }, shown(text))),
  runs.length > 1 ? $("p", { class: "soft" }, "Both are on the same axis; the cursor is at the difference.") : null);
