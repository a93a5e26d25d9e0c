//! Which classes the truth and a bundle have in common, and by which names.

use std::collections::HashSet;

use anyhow::bail;

use crate::findings::Label;
use crate::model::{Bundle, Head, Task};

/// The classes that are measured.
#[derive(Debug)]
pub(super) struct SharedClasses {
    /// The bundle's label of each.
    pub labels: Vec<Label>,
    /// The class of each class of the truth; `None` for those that are not measured.
    of_truth: Vec<Option<usize>>,
    /// Classes of the truth that the bundle does not know.
    pub only_in_truth: Vec<String>,
    /// Labels of the bundle that the truth does not have.
    pub only_in_bundle: Vec<Label>,
}

impl SharedClasses {
    /// Classes with one name, be it that the bundle says a label is `also_called` so; `wanted` keeps only these of the
    /// bundle's labels, or all if it is empty.
    ///
    /// # Errors
    /// That nothing is shared, or that a wanted label is not.
    pub fn between(bundle: &Bundle, truth: &[String], wanted: &[String]) -> anyhow::Result<Self> {
        let label_of = |name: &String| {
            bundle.labels.iter().find(|label| ***label == **name).or_else(|| bundle.also_called.get(name)).cloned()
        };
        let partners: Vec<Option<Label>> = truth.iter().map(label_of).collect();
        let shared: HashSet<&Label> = partners.iter().flatten().collect();
        for label in wanted {
            if !bundle.labels.iter().any(|known| **known == **label) {
                bail!(
                    "The model of {} has no label \"{label}\"; `lookhear model inspect {}` lists those it has.",
                    bundle.name,
                    bundle.path.display()
                );
            }
            if !shared.iter().any(|known| ***known == **label) {
                bail!("No class of the marks is called \"{label}\", so that it cannot be measured; leave it out.");
            }
        }
        let is_wanted = |label: &Label| wanted.is_empty() || wanted.iter().any(|one| **one == **label);
        // In the bundle's order; a name that its dictionary has twice is one class.
        let mut seen = HashSet::new();
        let known: Vec<&Label> =
            bundle.labels.iter().filter(|label| !is_nothing(bundle, label) && seen.insert(*label)).collect();
        let labels: Vec<Label> = known
            .iter()
            .filter(|label| shared.contains(*label) && is_wanted(label))
            .map(|label| (*label).clone())
            .collect();
        if labels.is_empty() {
            bail!(
                "The marks and the model of {} have no class in common: the marks have {}, the model {}; correct the names.",
                bundle.name,
                few(truth.iter().map(String::as_str)),
                few(known.iter().map(|label| &***label))
            );
        }
        let number = |partner: &Option<Label>| labels.iter().position(|label| Some(label) == partner.as_ref());
        let of_truth = partners.iter().map(number).collect();
        let only_in_truth = truth
            .iter()
            .zip(&partners)
            .filter(|(_, partner)| partner.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        let only_in_bundle = known.into_iter().filter(|label| !shared.contains(label)).cloned().collect();
        Ok(Self { labels, of_truth, only_in_truth, only_in_bundle })
    }

    /// The class of a class of the truth, if it is measured.
    pub fn of_truth(&self, class: usize) -> Option<usize> {
        *self.of_truth.get(class)?
    }

    /// The class of a label, if it is measured.
    pub fn of_label(&self, label: &Label) -> Option<usize> {
        self.labels.iter().position(|one| one == label)
    }
}

/// Whether a label stands for no class of things: the background, or a number that TensorFlow's dictionaries leave free.
fn is_nothing(bundle: &Bundle, label: &Label) -> bool {
    let background = match &bundle.task {
        Task::Detection { head: Head::RawSsd(head), .. } => head.background_class,
        _ => None,
    };
    &**label == "???" || label.is_empty() || background.is_some_and(|class| bundle.labels.get(class) == Some(label))
}

/// Names shown before "…".
const FEW: usize = 5;

/// The first names of a list.
fn few<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.peekable();
    let mut shown: Vec<&str> = names.by_ref().take(FEW).collect();
    if names.peek().is_some() {
        shown.push("…");
    }
    shown.join(", ")
}
