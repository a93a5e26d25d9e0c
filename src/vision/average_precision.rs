//! COCO's measure of a detector: average precision and average recall.
//!
//! The definition is the program that everybody measures with, `COCOeval` of pycocotools 2.0.11 for boxes
//! (<https://github.com/ppwwyyxx/cocoapi>), so all of its decisions are kept, also where they are odd: at equal overlap the
//! box that comes later is taken, limits of size count on both sides, and boxes of equal score stay in the order of the
//! pictures. What it gives is the same to rounding (`tests/eval_detector.rs`).
//!
//! Each picture is judged as it comes, and of each box found there remain its score and a bit a decision.

use serde::Serialize;

/// Overlaps (intersection over union) from which a box counts as found: 0.5, 0.55 … 0.95.
const OVERLAPS: usize = 10;
/// Where in [`OVERLAPS`] 0.5 and 0.75 are.
const OVERLAP_50: usize = 0;
const OVERLAP_75: usize = 5;
/// Recalls at which precision is read: 0, 0.01 … 1.
const RECALLS: usize = 101;
/// Boxes of a class in a picture that count, the surest first.
const MOST: usize = 100;

/// The smallest and the largest area of each [`Size`], in square pixels, both included.
const AREAS: [(f64, f64); Size::COUNT] = [(0.0, 1e10), (0.0, 1024.0), (1024.0, 9216.0), (9216.0, 1e10)];

/// How large a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Whatever its size.
    Any,
    /// Up to 32² pixels.
    Small,
    /// Up to 96² pixels.
    Medium,
    /// Above.
    Large,
}

impl Size {
    const COUNT: usize = 4;
}

/// A rectangle in pixels, from the picture's top left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PixelBox {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl PixelBox {
    /// Width by height.
    pub fn area(&self) -> f64 {
        self.w * self.h
    }

    /// The area shared with `other`.
    fn shared_area(&self, other: &Self) -> f64 {
        let w = (self.x + self.w).min(other.x + other.w) - self.x.max(other.x);
        let h = (self.y + self.h).min(other.y + other.h) - self.y.max(other.y);
        if w <= 0.0 || h <= 0.0 { 0.0 } else { w * h }
    }
}

/// A box that should be found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueBox {
    /// The number of its class.
    pub class: usize,
    /// Where it is.
    pub bounds: PixelBox,
    /// Square pixels that count as its size: those of the outline where there is one, else of `bounds`.
    pub area: f64,
    /// Whether it is a crowd: nobody must find it, and any number of boxes in it are no mistakes.
    pub is_crowd: bool,
}

/// A box that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundBox {
    /// The number of its class.
    pub class: usize,
    /// Where it is.
    pub bounds: PixelBox,
    /// How sure the detector is; any finite scale.
    pub score: f64,
}

/// Average precisions, 0…1: the share of right boxes among those reported, averaged over recall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Precision {
    /// Averaged over the overlaps 0.5, 0.55 … 0.95.
    pub ap: f64,
    /// At an overlap of 0.5.
    pub ap50: f64,
    /// At an overlap of 0.75.
    pub ap75: f64,
}

/// Something for boxes up to 32² pixels, up to 96², and above. `None` where there is no such box.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BySize<T> {
    /// Up to 32² pixels.
    pub small: Option<T>,
    /// Up to 96² pixels.
    pub medium: Option<T>,
    /// Above.
    pub large: Option<T>,
}

/// Average recalls, 0…1: the share of true boxes that are found, averaged over the overlaps 0.5, 0.55 … 0.95. `None` where
/// there is no true box.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recall {
    /// With one box of each class in a picture.
    pub at_1: Option<f64>,
    /// With 10.
    pub at_10: Option<f64>,
    /// With 100.
    pub at_100: Option<f64>,
    /// With 100, by size.
    #[serde(flatten)]
    pub by_size: BySize<f64>,
}

/// What came out; every number is the mean over the classes that have a true box of that size.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Over all sizes; `None` if there is no true box at all.
    pub precision: Option<Precision>,
    /// By size.
    pub by_size: BySize<Precision>,
    /// The recalls.
    pub recall: Recall,
    /// By class, in the order of their numbers.
    pub classes: Vec<ClassMeasured>,
}

/// What came out for one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassMeasured {
    /// True boxes, crowds not counted.
    pub boxes: usize,
    /// Over all sizes; `None` if there is no true box.
    pub precision: Option<Precision>,
}

/// Measures a detector, picture by picture.
#[derive(Clone, Debug)]
pub struct AveragePrecision {
    classes: Vec<Tally>,
}

/// What is known of one class so far.
#[derive(Clone, Debug, Default)]
struct Tally {
    judged: Vec<Judged>,
    /// For each size, how many true boxes should be found.
    wanted: [usize; Size::COUNT],
}

/// A found box after it was compared with the true ones: a bit for each overlap, the lowest overlap lowest.
#[derive(Clone, Copy, Debug)]
struct Judged {
    score: f64,
    /// Its place among those of its class in its picture, the surest 0.
    rank: usize,
    verdicts: [Verdict; Size::COUNT],
}

#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    right: u16,
    /// Neither right nor wrong.
    ignored: u16,
}

impl AveragePrecision {
    /// A measure for classes numbered from 0 to `classes` − 1, before the first picture.
    pub fn new(classes: usize) -> Self {
        Self { classes: vec![Tally::default(); classes] }
    }

    /// Compares what was found in the next picture with what is there. Boxes of other classes are left out, and so are all
    /// but the 100 surest of each class.
    pub fn add(&mut self, truth: &[TrueBox], found: &[FoundBox]) {
        for (class, tally) in self.classes.iter_mut().enumerate() {
            let truth: Vec<TrueBox> = truth.iter().filter(|one| one.class == class).copied().collect();
            let mut found: Vec<FoundBox> = found.iter().filter(|one| one.class == class).copied().collect();
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(MOST);
            if !(truth.is_empty() && found.is_empty()) {
                tally.add(&truth, &found);
            }
        }
    }

    /// What came out of the pictures so far.
    pub fn measured(&self) -> Measured {
        let precisions = |size: Size| {
            let each: Vec<_> = self.classes.iter().map(|tally| tally.precision(size)).collect();
            let mean = mean_precision(each.iter().flatten());
            (each, mean)
        };
        let recall = |size: Size, most| mean(self.classes.iter().filter_map(|tally| tally.recall(size, most)));
        let (each, precision) = precisions(Size::Any);
        let classes = self.classes.iter().zip(each);
        Measured {
            precision,
            by_size: BySize {
                small: precisions(Size::Small).1,
                medium: precisions(Size::Medium).1,
                large: precisions(Size::Large).1,
            },
            recall: Recall {
                at_1: recall(Size::Any, 1),
                at_10: recall(Size::Any, 10),
                at_100: recall(Size::Any, MOST),
                by_size: BySize {
                    small: recall(Size::Small, MOST),
                    medium: recall(Size::Medium, MOST),
                    large: recall(Size::Large, MOST),
                },
            },
            classes: classes
                .map(|(tally, precision)| ClassMeasured { boxes: tally.wanted[Size::Any as usize], precision })
                .collect(),
        }
    }
}

impl Tally {
    /// Judges `found`, the surest first, by `truth`: the boxes of this class in one picture.
    fn add(&mut self, truth: &[TrueBox], found: &[FoundBox]) {
        let overlaps: Vec<f64> =
            found.iter().flat_map(|found| truth.iter().map(|truth| overlap(&found.bounds, truth))).collect();
        let first = self.judged.len();
        self.judged.extend(found.iter().enumerate().map(|(rank, found)| Judged {
            score: found.score,
            rank,
            verdicts: Default::default(),
        }));
        for (size, (least, largest)) in AREAS.into_iter().enumerate() {
            let outside = |area: f64| area < least || area > largest;
            // Those that must be found come first, so that the others only get what is left.
            let is_ignored = |truth: &TrueBox| truth.is_crowd || outside(truth.area);
            let mut order: Vec<usize> = (0..truth.len()).collect();
            order.sort_by_key(|&index| is_ignored(&truth[index]));
            let ignored: Vec<bool> = truth.iter().map(is_ignored).collect();
            self.wanted[size] += ignored.iter().filter(|ignored| !**ignored).count();
            for step in 0..OVERLAPS {
                let mut taken = vec![false; truth.len()];
                for (place, one) in found.iter().enumerate() {
                    let overlaps = &overlaps[place * truth.len()..][..truth.len()];
                    let partner = best_partner(overlap_at(step), overlaps, &order, |index| {
                        (taken[index] && !truth[index].is_crowd, ignored[index])
                    });
                    let verdict = &mut self.judged[first + place].verdicts[size];
                    let is_ignored = match partner {
                        Some(index) => {
                            taken[index] = true;
                            verdict.right |= 1 << step;
                            ignored[index]
                        }
                        None => outside(one.bounds.area()),
                    };
                    verdict.ignored |= u16::from(is_ignored) << step;
                }
            }
        }
    }

    /// What was decided of the `most` surest boxes of each picture, the surest of all first.
    fn verdicts(&self, size: Size, most: usize) -> Vec<Verdict> {
        let mut counted: Vec<&Judged> = self.judged.iter().filter(|judged| judged.rank < most).collect();
        counted.sort_by(|a, b| b.score.total_cmp(&a.score));
        counted.into_iter().map(|judged| judged.verdicts[size as usize]).collect()
    }

    fn precision(&self, size: Size) -> Option<Precision> {
        let wanted = self.wanted[size as usize];
        if wanted == 0 {
            return None;
        }
        let verdicts = self.verdicts(size, MOST);
        let each: [f64; OVERLAPS] = std::array::from_fn(|step| precision_over_recall(&verdicts, step, wanted));
        let ap = each.iter().sum::<f64>() / OVERLAPS as f64;
        Some(Precision { ap, ap50: each[OVERLAP_50], ap75: each[OVERLAP_75] })
    }

    fn recall(&self, size: Size, most: usize) -> Option<f64> {
        let wanted = self.wanted[size as usize];
        let verdicts = self.verdicts(size, most);
        let right = |step: usize| verdicts.iter().filter(|verdict| verdict.at(step) == Some(true)).count();
        (wanted > 0).then(|| (0..OVERLAPS).map(right).sum::<usize>() as f64 / (wanted * OVERLAPS) as f64)
    }
}

impl Verdict {
    /// Whether the box is right at an overlap; `None` if it does not count there.
    fn at(self, step: usize) -> Option<bool> {
        let is = |bits: u16| bits >> step & 1 == 1;
        (!is(self.ignored)).then(|| is(self.right))
    }
}

/// The overlap of number `step`. The last is not quite `step` times the width of a step, as NumPy's `linspace` has it.
fn overlap_at(step: usize) -> f64 {
    const FIRST: f64 = 0.5;
    const LAST: f64 = 0.95;
    let last_step = OVERLAPS - 1;
    if step == last_step { LAST } else { step as f64 * ((LAST - FIRST) / last_step as f64) + FIRST }
}

/// Intersection over union, with a crowd over the found box alone.
fn overlap(found: &PixelBox, truth: &TrueBox) -> f64 {
    let both = found.shared_area(&truth.bounds);
    if both == 0.0 {
        return 0.0;
    }
    let either = if truth.is_crowd { found.area() } else { found.area() + truth.bounds.area() - both };
    both / either
}

/// Which true box a found one is: of those in `order` that overlap it by `least` or more, the one with most overlap, and one
/// that is ignored only if no other fits. `state` tells of a box whether it is taken, and whether it is ignored.
fn best_partner(least: f64, overlaps: &[f64], order: &[usize], state: impl Fn(usize) -> (bool, bool)) -> Option<usize> {
    let (mut best, mut most) = (None, least.min(1.0 - 1e-10));
    for &index in order {
        let (is_taken, is_ignored) = state(index);
        if is_taken {
            continue;
        }
        if is_ignored && best.is_some_and(|best| !state(best).1) {
            break;
        }
        if overlaps[index] >= most {
            (best, most) = (Some(index), overlaps[index]);
        }
    }
    best
}

/// The mean over 101 recalls of the best precision that is reached at that recall or a higher one.
fn precision_over_recall(verdicts: &[Verdict], step: usize, wanted: usize) -> f64 {
    let (mut right, mut wrong) = (0.0, 0.0);
    // After each box: recall, precision.
    let mut curve: Vec<(f64, f64)> = verdicts
        .iter()
        .map(|verdict| {
            match verdict.at(step) {
                Some(true) => right += 1.0,
                Some(false) => wrong += 1.0,
                None => {}
            }
            (right / wanted as f64, right / (wrong + right + f64::EPSILON))
        })
        .collect();
    for place in (1..curve.len()).rev() {
        curve[place - 1].1 = curve[place - 1].1.max(curve[place].1);
    }
    let at = |recall: f64| curve.get(curve.partition_point(|point| point.0 < recall)).map_or(0.0, |point| point.1);
    (0..RECALLS).map(|index| at(index as f64 * 0.01)).sum::<f64>() / RECALLS as f64
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

fn mean_precision<'a>(each: impl Iterator<Item = &'a Precision> + Clone) -> Option<Precision> {
    let of = |part: fn(&Precision) -> f64| mean(each.clone().map(part));
    Some(Precision { ap: of(|one| one.ap)?, ap50: of(|one| one.ap50)?, ap75: of(|one| one.ap75)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f64) -> PixelBox {
        PixelBox { x, y: 0.0, w: 10.0, h: 10.0 }
    }

    fn truth(x: f64) -> TrueBox {
        TrueBox { class: 0, bounds: square(x), area: 100.0, is_crowd: false }
    }

    fn found(x: f64, score: f64) -> FoundBox {
        FoundBox { class: 0, bounds: square(x), score }
    }

    fn measured(truth: &[TrueBox], found: &[FoundBox]) -> Measured {
        let mut measure = AveragePrecision::new(1);
        measure.add(truth, found);
        measure.measured()
    }

    fn check(truth: &[TrueBox], found: &[FoundBox], ap50: f64, recall: f64) {
        let measured = measured(truth, found);
        let precision = measured.precision.expect("there are true boxes");
        assert!((precision.ap50 - ap50).abs() < 1e-12, "{precision:?}");
        assert!(measured.recall.at_100.is_some_and(|at_100| (at_100 - recall).abs() < 1e-12), "{measured:?}");
    }

    #[test]
    fn what_is_found_exactly_counts_whole_and_what_is_missed_not_at_all() {
        check(&[truth(0.0), truth(50.0)], &[found(50.0, 0.1), found(0.0, 0.9)], 1.0, 1.0);
        check(&[truth(0.0)], &[], 0.0, 0.0);
        check(&[truth(0.0)], &[found(50.0, 0.9)], 0.0, 0.0);
    }

    #[test]
    fn a_mistake_that_is_surer_than_the_right_box_halves_its_precision() {
        check(&[truth(0.0)], &[found(0.0, 0.5), found(50.0, 0.9)], 0.5, 1.0);
        check(&[truth(0.0)], &[found(0.0, 0.9), found(50.0, 0.5)], 1.0, 1.0);
    }

    #[test]
    fn a_box_is_found_once_and_a_crowd_as_often_as_one_likes() {
        check(
            &[truth(0.0), truth(50.0)],
            &[found(0.0, 0.9), found(0.0, 0.8), found(50.0, 0.7)],
            51.0 / 101.0 + 100.0 / 303.0,
            1.0,
        );
        let crowd = TrueBox { is_crowd: true, ..truth(0.0) };
        check(&[crowd, truth(50.0)], &[found(0.0, 0.9), found(0.0, 0.8), found(50.0, 0.7)], 1.0, 1.0);
    }

    #[test]
    fn without_true_boxes_there_is_no_number() {
        let measured = measured(&[], &[found(0.0, 0.9)]);
        assert_eq!((measured.precision, measured.recall.at_100), (None, None));
        assert_eq!(measured.classes, [ClassMeasured { boxes: 0, precision: None }]);
    }
}
