//! What was answered for what: the numbers of a classification.

/// For each true label how often each label was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confusion {
    labels: usize,
    /// One row a true label, one column an answer.
    counts: Vec<usize>,
}

impl Confusion {
    /// Of no clips.
    pub fn new(labels: usize) -> Self {
        Self { labels, counts: vec![0; labels * labels] }
    }

    /// Adds a clip.
    ///
    /// # Panics
    /// If there are no such labels.
    pub fn add(&mut self, truth: usize, answer: usize) {
        assert!(truth < self.labels && answer < self.labels, "labels of the bundle");
        self.counts[truth * self.labels + answer] += 1;
    }

    /// The answers for each true label.
    pub fn rows(&self) -> impl Iterator<Item = &[usize]> {
        self.counts.chunks(self.labels.max(1))
    }

    /// All clips.
    pub fn clips(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Clips whose answer is true.
    pub fn right(&self) -> usize {
        (0..self.labels).map(|label| self.right_of(label)).sum()
    }

    /// Clips of a label.
    pub fn clips_of(&self, truth: usize) -> usize {
        self.counts[truth * self.labels..(truth + 1) * self.labels].iter().sum()
    }

    /// Clips of a label whose answer is true.
    pub fn right_of(&self, label: usize) -> usize {
        self.counts[label * self.labels + label]
    }

    /// The share of a label's clips that are recognised; `None` if it has none.
    pub fn recall(&self, label: usize) -> Option<f64> {
        share(self.right_of(label), self.clips_of(label))
    }

    /// The share of a label's answers that are true; `None` if it is never answered.
    pub fn precision(&self, label: usize) -> Option<f64> {
        share(self.right_of(label), self.rows().map(|row| row[label]).sum())
    }

    /// The share of all clips that are recognised; `None` if there are none.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.right(), self.clips())
    }

    /// The mean recall of the labels that have clips, each with equal weight; `None` if there are none.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let recalls: Vec<f64> = (0..self.labels).filter_map(|label| self.recall(label)).collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }
}

/// A share, 0…1; `None` of nothing.
pub(super) fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_counted_by_hand() {
        let mut confusion = Confusion::new(3);
        // Eight clips of label 0, two of them taken for 1; two of label 1, one taken for 2; label 2 has none.
        for (truth, answer, clips) in [(0, 0, 6), (0, 1, 2), (1, 1, 1), (1, 2, 1)] {
            (0..clips).for_each(|_| confusion.add(truth, answer));
        }
        assert_eq!((confusion.clips(), confusion.right()), (10, 7));
        assert_eq!(confusion.accuracy(), Some(0.7));
        assert_eq!(confusion.balanced_accuracy(), Some((0.75 + 0.5) / 2.0));
        assert_eq!([0, 1, 2].map(|label| confusion.recall(label)), [Some(0.75), Some(0.5), None]);
        assert_eq!([0, 1, 2].map(|label| confusion.precision(label)), [Some(1.0), Some(1.0 / 3.0), Some(0.0)]);
        assert_eq!(Confusion::new(2).accuracy(), None);
        assert_eq!((Confusion::new(2).balanced_accuracy(), Confusion::new(2).precision(1)), (None, None));
    }
}
