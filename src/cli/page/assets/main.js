// Which view is shown: what the page is about, or one of the runs in it. The hash says so.

const opened = () => {
  const found = /^#r=(\d+)(?:&|$)/.exec(location.hash);
  return found ? Number(found[1]) : null;
};

const runLink = (place, text, label) => $("a", { href: "#r=" + place, class: "open", "aria-label": label || null }, text || "its run");

// A page with runs inside: `front` draws what it is about.
const indexPage = (page, runs, back, front) => {
  let now = null, from = 0, home = "#";
  const show = (event) => {
    const before = now;
    now = opened();
    if (now !== null && !runs[now]) now = null;
    // What was chosen on the front is in its hash, and is there again on the way back.
    if (before === null && now !== null && event) [from, home] = [window.scrollY, new URL(event.oldURL).hash || "#"];
    closing.abort();
    closing = new AbortController();
    page.replaceChildren();
    delete page.dataset.took;
    if (now === null) {
      front(page);
      const link = before !== null && page.querySelector('a[href="#r=' + before + '"]');
      if (link) {
        for (let it = link.closest("details"); it; it = it.parentElement.closest("details")) it.open = true;
        window.scrollTo(0, from);
        link.focus();
      }
      return;
    }
    page.append($("nav", { "aria-label": "where this is" }, $("a", { href: home }, "← " + back)));
    runsPage(page, { runs: [runs[now]], difference: null }, "r=" + now + "&");
    window.scrollTo(0, 0);
    const heading = page.querySelector("h1");
    heading.tabIndex = -1;
    if (before !== now) heading.focus({ preventScroll: true });
  };
  window.addEventListener("hashchange", (event) => { if (opened() !== now) show(event); });
  show();
};

const listPage = (data) => (page) => {
  const { entries, runs } = data;
  page.append($("h1", {}, counted(entries.length, "run")),
    $("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "all runs" }, $("table", {},
      $("thead", {}, $("tr", {}, ["verdict", "scenario", "strategy", "seed", "why", "run"].map((text) => $("th", { scope: "col" }, text)))),
      $("tbody", {}, entries.map((entry) => {
        const head = entry.run === null ? null : runs[entry.run].head;
        return $("tr", {}, $("td", { class: head ? head.verdict : null }, head ? VERDICTS[head.verdict] || head.verdict : "–"),
          $("th", { scope: "row" }, shown(entry.scenario)), $("td", {}, shown(entry.strategy)), $("td", {}, entry.seed),
          $("td", {}, head ? shown(head.reason) : ""),
          $("td", {}, head ? runLink(entry.run, "open", entry.scenario + ", " + entry.strategy + ", seed " + entry.seed)
            : [shown(entry.no_run), ": ", command(entry.repeat, "the command that makes it")]));
      })))));
};

readColours();
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
if (data.runs) runsPage(page, data.runs, "");
if (data.list) indexPage(page, data.list.runs, "all runs", listPage(data.list));
if (data.campaign) indexPage(page, data.campaign.runs, "the campaign", campaignPage(data.campaign));
if (data.comparison) indexPage(page, data.comparison.runs, "the comparison", comparisonPage(data.comparison));
