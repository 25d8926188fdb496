//! What a reader does with a page: keys and pointers are real ones.

use serde_json::{Value, json};

use crate::devtools::Reader;
use crate::pages::{campaign, comparison, several};
use crate::{PARTITION, STALE_SNAPSHOT, made};

/// What can have the focus, in the order of the page.
const FOCUSABLE: &str = "[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]
    .filter((it) => it.tabIndex >= 0 && !it.disabled && it.checkVisibility({ visibilityProperty: true }))";

/// The focus goes to everything once, in the order of the page, and can be seen.
fn tab_through(reader: &mut Reader) {
    let all = reader.value(&format!("{FOCUSABLE}.length"));
    let all = all.as_u64().expect("a number");
    assert!(all > 5, "{all}");
    for wanted in 0..all {
        reader.press("Tab");
        let seen = reader.value(&format!(
            "(() => {{ const it = document.activeElement, style = getComputedStyle(it);
                return [{FOCUSABLE}.indexOf(it), style.outlineStyle, parseFloat(style.outlineWidth), it.outerHTML.slice(0, 120)]; }})()"
        ));
        assert_eq!(seen[0], wanted, "{seen}");
        assert_ne!(seen[1], "none", "{seen}");
        assert!(seen[2].as_f64() >= Some(2.0), "{seen}");
    }
}

/// Every control has a name.
fn check_names(reader: &mut Reader) {
    let tree = reader.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().expect("a tree");
    let mut controls = 0;
    for node in nodes.iter().filter(|node| node["ignored"] == false) {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        let is_control = [
            "button",
            "link",
            "textbox",
            "searchbox",
            "combobox",
            "checkbox",
            "image",
            "img",
            "region",
            "DisclosureTriangle",
        ];
        if is_control.contains(&role) {
            controls += 1;
            let name = node["name"]["value"].as_str().unwrap_or_default();
            assert!(!name.trim().is_empty(), "{node}");
        }
    }
    assert!(controls > 5, "{controls}");
}

/// Nothing is wider than the window, no text is cut, and none lies over another.
fn check_layout(reader: &mut Reader, what: &str) {
    let found = reader.value(
        "(() => {
            const faults = [], page = document.documentElement;
            if (page.scrollWidth > innerWidth) faults.push('page: ' + page.scrollWidth + ' of ' + innerWidth);
            const within = (it) => it.closest('.scroll, pre, .chain, .figure, select, option, .hidden');
            const own = (it) => [...it.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
            const texts = [...document.querySelectorAll('body *')].filter((it) => own(it) && !within(it) && it.checkVisibility());
            for (const it of texts) {
                if (getComputedStyle(it).overflowX !== 'visible' && it.scrollWidth > it.clientWidth + 1) faults.push('cut: ' + it.textContent.slice(0, 60));
                const box = it.getBoundingClientRect();
                if (box.right > innerWidth + 1 || box.left < -1) faults.push('outside: ' + it.textContent.slice(0, 60));
            }
            const boxes = texts.filter((it) => !it.closest('.tools')).slice(0, 900).map((it) => [it, it.getBoundingClientRect()]);
            boxes.forEach(([one, a], at) => boxes.slice(at + 1).forEach(([other, b]) => {
                if (one.contains(other) || other.contains(one)) return;
                if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2) {
                    const lines = (it) => it.getClientRects().length > 1;
                    if (lines(one) || lines(other)) return;
                    faults.push('over: ' + one.textContent.slice(0, 40) + ' | ' + other.textContent.slice(0, 40));
                }
            }));
            return faults.slice(0, 5);
        })()",
    );
    assert_eq!(found, json!([]), "{what}");
}

fn hash(reader: &mut Reader) -> Value {
    reader.value("location.hash")
}

#[test]
fn the_focus_goes_through_the_page_in_order() {
    need_browser!();
    let made = made(STALE_SNAPSHOT, "pubsub", "1");
    let mut reader = Reader::open(&made.page, "", 1280);
    tab_through(&mut reader);
    check_names(&mut reader);
    // From the top to the first failure, to its causes and back, without a pointer.
    let before = hash(&mut reader);
    reader.press("ArrowRight");
    reader.settle();
    let selected = hash(&mut reader);
    assert_ne!(before, selected);
    reader.press("c");
    reader.settle();
    assert_ne!(hash(&mut reader), selected);
    reader.press("Escape");
    reader.settle();
    let none = reader.value("document.querySelectorAll('.chain.causes').length");
    assert_eq!(none, 0);
    assert_eq!(reader.errors().len(), 0, "{:?}", reader.errors());
}

#[test]
fn a_campaign_and_a_comparison_are_read_with_the_keyboard_alone() {
    need_browser!();
    for page in [&campaign().page, &comparison().page, &several().page] {
        let mut reader = Reader::open(page, "", 1280);
        tab_through(&mut reader);
        check_names(&mut reader);
        // Into a run and back: the focus is where it was.
        let link = "document.querySelector('a.open')";
        let is_hidden = reader.value(&format!("!{link}"));
        if is_hidden == true {
            reader.value("document.querySelector('tbody td button').focus()");
            reader.press("Enter");
            reader.settle();
        }
        reader.value(&format!("{link}.focus()"));
        let place = reader.value(&format!("{link}.getAttribute('href')"));
        reader.press("Enter");
        reader.settle();
        reader.settle();
        assert_eq!(
            reader.value("document.activeElement.tagName"),
            "H1",
            "{page:?}"
        );
        assert!(reader.value("document.querySelectorAll('canvas[data-left]').length") == 1);
        reader.value("document.querySelector('nav a').focus()");
        reader.press("Enter");
        reader.settle();
        reader.settle();
        assert_eq!(
            reader.value("document.activeElement.getAttribute('href')"),
            place
        );
        assert_eq!(reader.errors().len(), 0, "{:?}", reader.errors());
    }
}

#[test]
fn dragging_the_map_moves_what_is_looked_at() {
    need_browser!();
    let made = made(PARTITION, "gossip", "7");
    let mut reader = Reader::open(&made.page, "#v=0-48000000", 1280);
    let box_of = reader.value(
        "(() => { const map = document.querySelector('canvas[tabindex]'); map.scrollIntoView({ block: 'center' });
            const box = map.getBoundingClientRect(); return [box.left, box.top, box.width]; })()",
    );
    let number = |at: usize| box_of[at].as_f64().expect("a number");
    let (left, top, wide) = (number(0), number(1) + 20.0, number(2));
    let at = |share: f64| (left + wide * share, top);
    let view = |reader: &mut Reader| -> (u64, u64) {
        let hash = hash(reader);
        let hash = hash.as_str().expect("a text");
        let part = hash
            .split(['#', '&'])
            .find_map(|part| part.strip_prefix("v="));
        let (from, to) = part
            .and_then(|part| part.split_once('-'))
            .expect("what is looked at");
        (from.parse().expect("a time"), to.parse().expect("a time"))
    };
    // Across the map: a part is chosen.
    reader.drag(&[at(0.3), at(0.4), at(0.5)]);
    let chosen = view(&mut reader);
    assert!(
        chosen.0 > 5_000_000 && chosen.1 < 30_000_000 && chosen.1 - chosen.0 > 5_000_000,
        "{chosen:?}"
    );
    // Within it: the part moves, as long as it was.
    reader.drag(&[at(0.4), at(0.5), at(0.6)]);
    let moved = view(&mut reader);
    assert!(moved.0 > chosen.0 + 5_000_000, "{chosen:?} {moved:?}");
    assert!((moved.1 - moved.0).abs_diff(chosen.1 - chosen.0) < 1_000_000);
    assert_eq!(reader.errors().len(), 0, "{:?}", reader.errors());
}

#[test]
fn a_page_prints_and_has_two_themes() {
    need_browser!();
    let made = made(STALE_SNAPSHOT, "pubsub", "1");
    for page in [&made.page, &campaign().page, &comparison().page] {
        let mut reader = Reader::open(page, "", 1280);
        let back = "getComputedStyle(document.body).backgroundColor";
        let mut seen = Vec::new();
        for scheme in ["light", "dark"] {
            let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            reader.call(
                "Emulation.setEmulatedMedia",
                json!({ "features": features }),
            );
            reader.settle();
            seen.push(reader.value(back));
        }
        assert_ne!(seen[0], seen[1]);
        reader.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
        let controls = reader.value(
            "[...document.querySelectorAll('.tools, button')].filter((it) => it.checkVisibility()).length",
        );
        assert_eq!(controls, 0);
        let printed = reader.call("Page.printToPDF", json!({ "printBackground": true }));
        let data = printed["data"].as_str().expect("a document");
        // %PDF-, in base64.
        assert!(data.starts_with("JVBERi0") && data.len() > 10_000);
        assert_eq!(reader.errors().len(), 0, "{:?}", reader.errors());
    }
}

#[test]
fn no_text_is_cut_or_covered_in_any_width() {
    need_browser!();
    let one = made(STALE_SNAPSHOT, "pubsub", "1");
    let pages = [
        &one.page,
        &campaign().page,
        &comparison().page,
        &several().page,
    ];
    for page in pages {
        let mut reader = Reader::open(page, "", 1280);
        for width in [480, 1280, 2560] {
            reader.resize(width);
            check_layout(&mut reader, &format!("{} at {width}", page.display()));
            reader.value(
                "document.querySelectorAll('main details').forEach((it) => { it.open = !it.classList.contains('drop'); })",
            );
            reader.settle();
            check_layout(&mut reader, &format!("{} at {width}, open", page.display()));
        }
        assert_eq!(reader.errors().len(), 0, "{:?}", reader.errors());
    }
}
