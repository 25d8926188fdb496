use super::*;
use crate::catalog::Catalog;
use crate::run::estimate::size;
use crate::scenario::{Style, render, resolve};

fn seeds() -> std::ops::Range<u64> {
    0..300
}

#[test]
fn every_seed_makes_a_file_that_is_accepted_and_reads_back_equal() {
    let catalog = Catalog::default();
    for name in catalog.names() {
        let entry = catalog.get(name).expect("a name of the catalog");
        for seed in seeds() {
            let scenario = generate(seed, entry, &Options::default()).scenario;
            let text = render(&resolve(&scenario, seed, &catalog), Style::Full);
            let mut again = Scenario::read("generated.toml", text.as_bytes(), &catalog)
                .unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
            again.steps.iter_mut().for_each(|step| step.line = 0);
            again.expectations.iter_mut().for_each(|one| one.line = 0);
            assert_eq!(again, resolve(&scenario, seed, &catalog), "{text}");
            let size = size(&scenario);
            assert!(!size.wants_big && size.nodes <= entry.limits().max_nodes);
        }
    }
}
