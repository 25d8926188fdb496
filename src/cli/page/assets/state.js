// What nodes believe at the cursor: a fold of rows and views, with checkpoints, so that any instant is
// reached in a few thousand steps.

const CHECKPOINT = 4000;
const CELLS_MAX = 400000;
const TABLE_ROWS = 200;
const TABLE_NODES = 40;

const foldOf = (run) => {
  const { events, base, changes } = run;
  const [rows, nodes] = [run.children.length, run.nodes.length];
  const wanted = ["row", "view", "child_started", "child_stopped", "stop", "boot"].map(run.kindOf);
  const [ROW, VIEW, STARTED, STOPPED, STOP, BOOT] = wanted;
  const steps = [];
  for (let i = events.before; i < events.count; i++) if (wanted.includes(events.kind[i])) steps.push(i);
  const times = Float64Array.from(steps, (i) => events.at[i]);
  const empty = () => ({
    row: new Int32Array(rows * nodes), truth: new Map(), view: new Int32Array(nodes), at: 0,
  });
  const beginning = () => {
    const state = empty();
    for (const [node, child, text] of base.rows) state.row[node * rows + child] = text + 1;
    for (const [child, node, pid] of base.truth) state.truth.set(child * nodes + node, pid);
    for (const [node, text] of base.views) state.view[node] = text + 1;
    return state;
  };
  const apply = (state, i) => {
    const node = events.node[i] - 1, kind = events.kind[i];
    const child = events.about[i] ? run.lists[events.about[i] - 1][0] : -1;
    if (kind === ROW) state.row[node * rows + child] = events.note[i];
    else if (kind === VIEW) state.view[node] = events.note[i];
    else if (kind === STARTED) state.truth.set(child * nodes + node, events.note[i] - 1);
    else if (kind === STOPPED) state.truth.delete(child * nodes + node);
    else if (kind === STOP || kind === BOOT) {
      state.row.fill(0, node * rows, (node + 1) * rows);
      state.view[node] = 0;
      for (const key of [...state.truth.keys()]) if (key % nodes === node) state.truth.delete(key);
    }
  };
  const copy = (state) => ({ row: state.row.slice(), truth: new Map(state.truth), view: state.view.slice(), at: state.at });
  const saved = [];
  const at = (time) => {
    const wanted = search(times, time, true);
    let known = null;
    for (const state of saved) if (state.at <= wanted) known = state;
    const state = known ? copy(known) : beginning();
    while (state.at < wanted) {
      apply(state, steps[state.at++]);
      if (state.at % CHECKPOINT === 0 && rows * nodes <= CELLS_MAX && !saved.some((other) => other.at === state.at)) {
        saved.push(copy(state));
        saved.sort((one, other) => one.at - other.at);
      }
    }
    const defects = new Map(base.cells.map(([node, child, sum]) => [node * rows + child, sum]));
    const until = search(changes.at, time, true);
    for (let i = 0; i < until; i++) {
      const key = changes.node[i] * rows + changes.child[i];
      if (changes.defects[i]) defects.set(key, changes.defects[i]);
      else defects.delete(key);
    }
    return { row: (node, child) => state.row[node * rows + child], truth: state.truth, view: state.view, defects };
  };
  at(Infinity);
  return at;
};

const defectWords = (sum) => DEFECTS.filter((_, kind) => sum & (1 << kind)).map(([word]) => word);

const stillAt = (run, node, time) => {
  const found = run.stretches.find((it) => it.node === node && it.what !== "cut" && it.from_us <= time && time < it.to_us);
  return found ? found.what : null;
};

const fill = (run, place, time, filter) => {
  const state = run.stateAt(time);
  const nodes = run.nodes.map((_, node) => node).filter((node) => filter.node(run.nodes[node]));
  const isOdd = (child) => nodes.some((node) => state.defects.has(node * run.children.length + child));
  let children = run.childOrder.filter((child) => filter.child === null || run.children[child] === filter.child);
  const isKnown = (child) => nodes.some((node) => state.row(node, child)) ||
    run.nodes.some((_, node) => state.truth.has(child * run.nodes.length + node)) || isOdd(child);
  children = children.filter(isKnown);
  const all = children.length;
  if (all > TABLE_ROWS) children = [...children.filter(isOdd), ...children.filter((child) => !isOdd(child))].slice(0, TABLE_ROWS);
  const columns = nodes.slice(0, TABLE_NODES);
  const held = time >= run.window.from_us && time <= run.window.to_us;
  const head = $("tr", {}, $("th", { scope: "col" }, "child"), $("th", { scope: "col" }, "runs on"),
    columns.map((node) => $("th", { scope: "col" }, shown(run.nodes[node]))));
  const still = new Map(columns.map((node) => [node, stillAt(run, node, time)]));
  const body = children.map((child) => {
    const on = run.nodes.map((_, node) => node).filter((node) => state.truth.has(child * run.nodes.length + node));
    const truth = on.map((node) => run.nodes[node] + "=" + run.notes[state.truth.get(child * run.nodes.length + node)]);
    return $("tr", {}, $("th", { scope: "row" }, shown(run.children[child])), $("td", {}, shown(truth.join(", ") || "nowhere")),
      columns.map((node) => {
        const words = defectWords(state.defects.get(node * run.children.length + child) || 0);
        const text = state.row(node, child);
        const off = still.get(node) === "down";
        return $("td", { class: words[0] || (off ? "off" : null) },
          words.map((word) => [$("b", { class: word }, word), " "]), off ? "down" : text ? shown(run.notes[text - 1]) : words.length ? "" : "–");
      }));
  });
  const left = [];
  if (!held) left.push("The cursor is outside the events that are held in full: this is the nearest state.");
  if (all > children.length) left.push(number(all - children.length) + " children are not listed; those with defects come first. Filter by child.");
  if (nodes.length > columns.length) left.push(number(nodes.length - columns.length) + " nodes are not listed. Filter by node.");
  const table = $("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "state at the cursor" },
    $("table", { class: "state" }, $("thead", {}, head), $("tbody", {}, body)));
  const views = $("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "membership views at the cursor" },
    $("table", {}, $("thead", {}, $("tr", {}, $("th", { scope: "col" }, "node"), $("th", { scope: "col" }, "is"), $("th", { scope: "col" }, "its view of the cluster"))),
      $("tbody", {}, nodes.slice(0, TABLE_ROWS).map((node) => $("tr", {}, $("th", { scope: "row" }, shown(run.nodes[node])),
        $("td", {}, stillAt(run, node, time) || "up"), $("td", {}, state.view[node] ? shown(run.notes[state.view[node] - 1]) : "none"))))));
  place.replaceChildren($("p", { class: "soft" }, left.join(" ")), children.length ? table : $("p", {}, "No child is known to anyone."),
    $("h3", {}, "Membership views"), views);
};
