//! `hublab report`: the page is one file, the same one for the same capsule, and is refused for anything else.

use super::*;

#[test]
fn a_report_is_the_same_file_each_time_and_names_no_other() {
    let place = files(&[]);
    let out = place.path().join("out");
    hublab(&[
        "run",
        FIRST_JOIN,
        "--strategy",
        "gossip",
        "--out",
        text(&out),
    ])
    .expect(0);
    let capsule = out.join(names(&out).remove(0));
    let pages = ["one.html", "two.html"].map(|name| {
        let page = place.path().join(name);
        hublab(&["report", text(&capsule), "-o", text(&page)]).expect(0);
        fs::read_to_string(page).expect("a page")
    });
    assert!(pages[0] == pages[1], "the same capsule, the same bytes");
    let foreign = pages[0].replace("http://www.w3.org/2000/svg", "");
    assert!(!foreign.contains("http:") && !foreign.contains("https:"));
    let both = [text(&capsule), text(&capsule)];
    let page = place.path().join("both.html");
    hublab(&["report", both[0], both[1], "-o", text(&page)]).expect(0);
}

#[test]
fn what_is_no_capsule_has_no_report_and_an_input_is_not_replaced() {
    let place = files(&[("empty", b""), ("binary", b"\x00\xff\x00")]);
    let page = place.path().join("page.html");
    let told = |input: &str| hublab(&["report", input, "-o", text(&page)]).expect(2).err;
    assert!(told(text(place.path())).contains("directory"));
    assert!(told(FIRST_JOIN).contains("this is a scenario"));
    for name in ["empty", "binary", "missing"] {
        let path = place.path().join(name);
        assert!(told(text(&path)).contains(name));
    }
    assert!(!page.exists());
    let input = place.path().join("empty");
    let refused = hublab(&["report", text(&input), "-o", text(&input)]).expect(2);
    assert!(refused.err.contains("would replace it"));
}
