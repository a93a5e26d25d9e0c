//! Boxes with a class and a score, before they have a name.

use crate::findings::BoxInFrame;

/// What a head read from a model's outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The model's own number of the class.
    pub class: usize,
    /// 0…1.
    pub score: f32,
    /// Where.
    pub bounds: BoxInFrame,
}

/// Sorts `candidates` by their score, the highest first; equal ones by class and place, so that the order never depends on
/// how they were found.
pub(super) fn sort(candidates: &mut [Candidate]) {
    candidates.sort_unstable_by(|a, b| {
        let place = |candidate: &Candidate| (candidate.bounds.y, candidate.bounds.x);
        b.score
            .total_cmp(&a.score)
            .then(a.class.cmp(&b.class))
            .then(place(a).0.total_cmp(&place(b).0))
            .then(place(a).1.total_cmp(&place(b).1))
    });
}

/// Keeps at most `most` of `candidates`, the best first: none that overlaps a better one of its class by more than
/// `iou_limit` (greedy suppression within a class, Felzenszwalb et al. 2010, §7.2).
///
/// Each is only compared with those kept before it, so that the work stays within `candidates · most` even when a broken
/// model finds something everywhere. Nothing is allocated.
pub(super) fn suppress(candidates: &mut Vec<Candidate>, iou_limit: f32, most: usize) {
    sort(candidates);
    let mut kept = 0;
    for index in 0..candidates.len() {
        if kept == most {
            break;
        }
        let candidate = candidates[index];
        let covered = candidates[..kept]
            .iter()
            .any(|better| better.class == candidate.class && better.bounds.iou(&candidate.bounds) > iou_limit);
        if !covered {
            candidates[kept] = candidate;
            kept += 1;
        }
    }
    candidates.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(class: usize, score: f32, x: f32) -> Candidate {
        Candidate { class, score, bounds: BoxInFrame { x, y: 0.0, w: 0.5, h: 0.5 } }
    }

    #[test]
    fn of_boxes_that_overlap_the_best_of_each_class_stays() {
        let mut candidates =
            vec![candidate(1, 0.5, 0.0), candidate(1, 0.9, 0.05), candidate(2, 0.4, 0.0), candidate(1, 0.3, 0.5)];
        suppress(&mut candidates, 0.6, 10);
        assert_eq!(candidates, [candidate(1, 0.9, 0.05), candidate(2, 0.4, 0.0), candidate(1, 0.3, 0.5)]);
    }

    #[test]
    fn an_overlap_of_just_the_limit_is_allowed() {
        // 0.25 of overlap in 0.75 of union.
        let mut candidates = vec![candidate(0, 0.9, 0.0), candidate(0, 0.8, 0.25)];
        suppress(&mut candidates, 1.0 / 3.0 + 1e-6, 10);
        assert_eq!(candidates.len(), 2);
        suppress(&mut candidates, 0.33, 10);
        assert_eq!(candidates.len(), 1);
    }

    #[test]
    fn no_more_are_kept_than_asked_for() {
        let mut candidates: Vec<_> = (0..100).map(|index| candidate(index, index as f32 / 100.0, 0.0)).collect();
        suppress(&mut candidates, 0.5, 3);
        assert_eq!(candidates.iter().map(|candidate| candidate.class).collect::<Vec<_>>(), [99, 98, 97]);
        suppress(&mut candidates, 0.5, 0);
        assert!(candidates.is_empty());
    }
}
