// A comparison: its tables, sorted and filtered; the values of single runs behind a row; its figures.

const SIGNS = { better: "▲ ", worse: "▼ ", equal: "= ", unclear: "? " };
const VALUES_HIGH = 220;

// A cell of a table as what it is sorted by: a number where it begins with one.
const sortKey = (text) => {
  const found = /^[<\s]*(-?[\d,]*\.?\d+)/.exec(text);
  return found ? Number(found[1].replace(/,/g, "")) : text === "" || text === "-" || text === "none" ? Infinity : text;
};

const comparisonPage = (data) => {
  const firstSeed = BigInt(data.seeds[0]), seeds = data.seeds[1];
  const seedAt = (i) => String(firstSeed + BigInt(i));
  const variants = data.strategies.length;
  const values = data.endpoints.map((endpoint) => {
    let read = null;
    return () => (read = read || (endpoint.values ? new Float64Array(bytesOf(endpoint.values).buffer) : null));
  });
  const names = new Intl.Collator("en", { numeric: true });

  return (page) => {
    // The choice is in the hash: endpoint, verdict, strategy, text, column, chosen row.
    const read = () => {
      const parts = new URLSearchParams(location.hash.slice(1));
      const place = (key, most) => (/^\d+$/.test(parts.get(key) || "") ? Math.min(Number(parts.get(key)), most) : null);
      const sort = /^(-?)(\d+)$/.exec(parts.get("o") || "");
      return {
        endpoint: place("e", data.endpoints.length - 1) || 0, verdict: parts.get("w") || "", strategy: parts.get("y") || "",
        text: parts.get("q") || "", column: sort ? Number(sort[2]) : null, down: Boolean(sort && sort[1]), row: place("x", 1e9),
      };
    };
    let state = read(), own = location.hash;
    const save = () => {
      const parts = new URLSearchParams();
      if (state.endpoint) parts.set("e", state.endpoint);
      for (const [key, value] of [["w", state.verdict], ["y", state.strategy], ["q", state.text]]) if (value) parts.set(key, value);
      if (state.column !== null) parts.set("o", (state.down ? "-" : "") + state.column);
      if (state.row !== null) parts.set("x", state.row);
      own = "#" + parts;
      try { history.replaceState(null, "", own); } catch { location.replace(own); }
    };

    const select = (label, options, key) => {
      const made = $("select", { "aria-label": label, onchange: () => { state[key] = key === "endpoint" ? Number(made.value) : made.value; state.row = null; draw(); } },
        options.map(([value, text]) => $("option", { value }, text)));
      return made;
    };
    const tools = {
      endpoint: select("measure", data.endpoints.map((endpoint, place) => [place, endpoint.metric]), "endpoint"),
      verdict: select("only this verdict", [["", "all verdicts"], ...["better", "worse", "equal", "unclear", "not compared"].map((word) => [word, word])], "verdict"),
      strategy: select("only this strategy", [["", "all strategies"], ...data.strategies.filter((_, place) => place !== data.baseline).map((name) => [name, shown(name)])], "strategy"),
    };
    const text = $("input", { type: "search", "aria-label": "only cells with this text", placeholder: "cell", oninput: () => { state.text = text.value; draw(); } });
    const told = $("span", { class: "soft", role: "status" });
    const place = $("div", { class: "scroll plain", tabindex: 0, role: "region", "aria-label": "table of verdicts" });
    const heading = $("p", {});
    const behind = $("section", { class: "values", "aria-live": "polite" });

    const rowsOf = (endpoint) => {
      const wanted = state.text.toLowerCase();
      let rows = endpoint.rows.map((row, place) => ({ row, place })).filter(({ row }) =>
        (!state.verdict || (row.verdict || "not compared") === state.verdict) &&
        (!state.strategy || data.strategies[row.strategy] === state.strategy) &&
        (!wanted || data.cells[row.cell].toLowerCase().includes(wanted)));
      if (state.column !== null && state.column < endpoint.heads.length) {
        const way = state.down ? -1 : 1;
        rows = rows.map((it) => ({ ...it, key: sortKey(it.row.cells[state.column]) })).sort((a, b) => {
          const both = typeof a.key === "number" && typeof b.key === "number";
          return way * (both ? (a.key === b.key ? 0 : a.key - b.key) : names.compare(String(a.row.cells[state.column]), String(b.row.cells[state.column]))) || a.place - b.place;
        });
      }
      return rows;
    };

    const drawTable = () => {
      const endpoint = data.endpoints[state.endpoint];
      const rows = rowsOf(endpoint);
      heading.textContent = endpoint.heading;
      told.textContent = counted(rows.length, "row") + (rows.length < endpoint.rows.length ? " of " + number(endpoint.rows.length) : "");
      const head = (name, column) => $("th", { scope: "col", "aria-sort": state.column === column ? (state.down ? "descending" : "ascending") : "none" },
        $("button", { type: "button", onclick: () => {
          if (state.column === column && state.down) [state.column, state.down] = [null, false];
          else [state.column, state.down] = [column, state.column === column];
          draw();
          place.querySelectorAll("thead button")[column].focus();
        } }, shown(name) + (state.column === column ? (state.down ? " ▼" : " ▲") : "")));
      place.replaceChildren($("table", {},
        $("thead", {}, $("tr", {}, endpoint.heads.map(head), $("th", { scope: "col" }, "runs"))),
        $("tbody", {}, rows.map(({ row, place: number }) => $("tr", { class: number === state.row ? "chosen" : null, "data-row": number },
          row.cells.map((cell, column) => $(column === 0 ? "th" : "td", { scope: column === 0 ? "row" : null, class: column < endpoint.words ? (column === endpoint.words - 1 ? "is-" + (row.verdict || "none") : null) : "right" },
            (column === endpoint.words - 1 && SIGNS[row.verdict] || "") + shown(cell))),
          $("td", {}, $("button", { type: "button", "aria-pressed": String(number === state.row), "aria-label": "runs of " + data.cells[row.cell] + ", " + data.strategies[row.strategy], onclick: () => {
            state.row = state.row === number ? null : number;
            draw();
            const again = place.querySelector('tr[data-row="' + number + '"] button');
            if (again) again.focus();
          } }, "runs")))))));
    };

    // The runs behind a row: the baseline and the strategy on each seed.
    const drawValues = () => {
      const endpoint = data.endpoints[state.endpoint], row = state.row === null ? null : endpoint.rows[state.row];
      behind.replaceChildren();
      if (!row) return;
      const of = (strategy) => {
        const all = values[state.endpoint]();
        const from = (row.cell * variants + strategy) * seeds;
        return all ? [...all.subarray(from, from + seeds)] : null;
      };
      const [base, other] = [of(data.baseline), of(row.strategy)];
      const title = shown(data.cells[row.cell] + ": " + data.strategies[row.strategy] + " against " + data.strategies[data.baseline]);
      behind.append($("h2", {}, title), $("dl", { class: "facts" }, endpoint.detail_heads.map((name, place) => row.details[place] !== "" &&
        $("div", {}, $("dt", {}, shown(name)), $("dd", {}, shown(row.details[place]))))));
      const links = [data.baseline, row.strategy].map((strategy) => {
        const held = data.held[row.cell * variants + strategy];
        return $("p", {}, shown(data.strategies[strategy]) + ": ", held ? [runLink(held[1], "the run of seed " + held[0]), $("span", { class: "soft" }, ", the worst by " + data.endpoints[0].metric)]
          : $("span", { class: "soft" }, "none of its runs is in this page"), command(data.commands[row.cell * variants + strategy] + " --report run.html", "the command that makes the report of a run"));
      });
      behind.append(...links, $("p", { class: "soft" }, "Other seeds: the same command with another --seed."));
      if (!base) { behind.append($("p", { class: "note" }, "There are too many runs for this page; results.csv has their values.")); return; }
      const canvas = $("canvas", { role: "img", "aria-label": title + ": values by seed, listed in the table below" });
      behind.append($("p", {}, legend("k0", [], data.strategies[data.baseline] + " (ring)"), " ", legend("k1", [], data.strategies[row.strategy] + " (disc)")), canvas);
      const order = [...base.keys()];
      const shownValue = (value) => (Number.isNaN(value) ? "none" : Math.abs(value) >= 100 || Number.isInteger(value) ? number(Math.round(value)) : value.toFixed(3));
      behind.append($("details", {}, $("summary", {}, "Values of " + (seeds > 2000 ? "the first 2,000 of " : "") + counted(seeds, "seed")), $("div", { class: "scroll" }, $("table", {},
        $("thead", {}, $("tr", {}, ["seed", data.strategies[data.baseline], data.strategies[row.strategy], "ratio"].map((name) => $("th", { scope: "col" }, shown(name))))),
        $("tbody", {}, order.slice(0, 2000).map((i) => $("tr", {}, $("th", { scope: "row" }, seedAt(i)), $("td", { class: "right" }, shownValue(base[i])), $("td", { class: "right" }, shownValue(other[i])),
          $("td", { class: "right" }, base[i] > 0 && Number.isFinite(other[i]) ? (other[i] / base[i]).toFixed(3) : "–"))))))));
      GUTTER = 90;
      const [cx, wide] = canvasFor(canvas, VALUES_HIGH);
      const finite = [...base, ...other].filter(Number.isFinite);
      const most = finite.reduce((most, value) => (value > most ? value : most), 0) || 1;
      const left = GUTTER, right = wide - MARGIN, low = VALUES_HIGH - 24;
      const x = (i) => left + (i + 0.5) * (right - left) / seeds, y = (value) => low - value * (low - 12) / most;
      cx.strokeStyle = colours.line;
      cx.strokeRect(left, 8, right - left, low - 8);
      cx.fillStyle = colours.soft;
      cx.textAlign = "right";
      cx.fillText(shownValue(most), left - 6, 13);
      cx.fillText("0", left - 6, low - 4);
      cx.textAlign = "left";
      cx.fillText("seed " + seedAt(0), left, low + 12);
      cx.textAlign = "right";
      cx.fillText(seedAt(seeds - 1), right, low + 12);
      const radius = clamp((right - left) / seeds / 3, 1, 4);
      order.forEach((i) => {
        if (Number.isFinite(base[i]) && Number.isFinite(other[i])) {
          cx.strokeStyle = colours.line;
          cx.lineWidth = 1;
          cx.beginPath();
          cx.moveTo(x(i), y(base[i]));
          cx.lineTo(x(i), y(other[i]));
          cx.stroke();
        }
        [[base[i], colours.k0, false], [other[i], colours.k1, true]].forEach(([value, colour, isDisc]) => {
          cx.strokeStyle = cx.fillStyle = colour;
          cx.lineWidth = 1.5;
          // What has no value stands above all as a cross.
          if (!Number.isFinite(value)) {
            cx.beginPath();
            cx.moveTo(x(i) - 3, 1); cx.lineTo(x(i) + 3, 7); cx.moveTo(x(i) + 3, 1); cx.lineTo(x(i) - 3, 7);
            cx.stroke();
            return;
          }
          cx.beginPath();
          cx.arc(x(i), y(value), radius, 0, 7);
          if (isDisc) cx.fill(); else cx.stroke();
        });
      });
    };

    const draw = () => {
      for (const [key, tool] of Object.entries(tools)) tool.value = String(state[key]);
      if (document.activeElement !== text) text.value = state.text;
      drawTable();
      drawValues();
      save();
    };

    const picture = ({ name, svg, csv }) => $("figure", {}, $("figcaption", {}, $("b", {}, shown(name)), " ", download(name + ".svg", svg, "download as SVG"), " ", download(name + ".csv", csv, "download the numbers")),
      $("div", { class: "figure", tabindex: 0, role: "region", "aria-label": "figure " + name }, $("img", { alt: name, src: "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg) })));
    page.append($("div", {},
      $("header", {}, $("h1", {}, shown(data.heading)),
        $("ul", {}, data.scores.map((line) => $("li", {}, shown(line)))),
        data.notes.map((line) => $("p", { class: "soft" }, shown(line))),
        $("details", {}, $("summary", {}, "The plan"), $("div", { class: "command" }, download("plan.toml", data.plan, "download the plan")), $("pre", { tabindex: 0 }, data.plan))),
      $("h2", {}, "Verdicts"),
      $("div", { class: "tools", role: "toolbar", "aria-label": "what the table shows" }, $("label", {}, "measure", tools.endpoint), tools.verdict, tools.strategy, text, told),
      heading, place, behind,
      data.figures.length > 0 && $("section", {}, $("h2", {}, "Figures"), $("div", { class: "figures" }, data.figures.map(picture))),
      data.more_figures > 0 && $("p", { class: "note" }, counted(data.more_figures, "further figure") + " are in the directory only.")));
    draw();
    listen(window, "resize", drawValues);
    listen(window, "hashchange", () => { if (location.hash !== own && opened() === null) { state = read(); draw(); } });
    listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => { readColours(); drawValues(); });
  };
};
