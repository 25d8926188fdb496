//! Writes the plan of a comparison as a file.

use super::toml::{Pairs, list, quoted};
use crate::model::plan::{Contestant, Plan};

/// A plan with everything that it leaves to defaults written out. Reading it gives the same plan.
#[must_use]
pub fn render_plan(plan: &Plan) -> String {
    let mut text = String::new();
    let baseline = plan
        .contestants
        .get(plan.baseline)
        .map(|one| quoted(&one.name));
    Pairs::default()
        .put("schema", "1")
        .put("name", quoted(&plan.name))
        .put(
            "scenarios",
            list(plan.scenarios.iter().map(|path| quoted(path))),
        )
        .put(
            "seeds",
            quoted(&format!("{}..{}", plan.seeds.start, plan.seeds.end)),
        )
        .put("strategies", list(plan.contestants.iter().map(contestant)))
        .may("baseline", baseline)
        .table("", &mut text);
    let vary = plan.vary.iter().fold(Pairs::default(), |pairs, vary| {
        let values = vary.values.iter().map(|value| value.toml.clone());
        pairs.put(&vary.key, list(values))
    });
    vary.table("[vary]", &mut text);
    for endpoint in &plan.endpoints {
        Pairs::default()
            .put("metric", quoted(&endpoint.metric))
            .put("margin", endpoint.margin.to_string())
            .table("[[endpoint]]", &mut text);
    }
    text
}

fn contestant(contestant: &Contestant) -> String {
    if contestant.set.is_empty() && contestant.name == contestant.strategy {
        return quoted(&contestant.name);
    }
    let set = contestant
        .set
        .iter()
        .fold(Pairs::default(), |pairs, (key, value)| {
            pairs.put(key, value.toml.clone())
        });
    Pairs::default()
        .put("name", quoted(&contestant.name))
        .put("strategy", quoted(&contestant.strategy))
        .may("set", (!contestant.set.is_empty()).then(|| set.inline()))
        .inline()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn a_plan_that_is_written_and_read_is_the_same_plan() {
        let files = [
            "schema = 1\nscenarios = [\"a.toml\"]\n",
            "schema = 1\nname = \"a \\\"b\\\"\"\nscenarios = [\"a.toml\", \"b\"]\nseeds = \"3..9\"\n\
             strategies = [\"gossip\", { name = \"lone\", strategy = \"gossip\", set = { recipients = 1 } }]\n\
             baseline = \"lone\"\n[vary]\n\"network.loss\" = [0.0, 0.05]\n\"run.duration\" = [\"20s\"]\n\
             [[endpoint]]\nmetric = \"bytes_sent\"\nmargin = 0\n[[endpoint]]\nmetric = \"converged_us\"\n",
        ];
        let catalog = Catalog::default();
        let read = |text: &str| {
            Plan::read("plan.toml", text.as_bytes(), &catalog)
                .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
        };
        for file in files {
            let plan = read(file);
            let text = render_plan(&plan);
            assert_eq!(read(&text), plan, "{text}");
        }
    }
}
