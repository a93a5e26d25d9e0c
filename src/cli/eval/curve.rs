//! The picture of a sweep: misses against false accepts, as SVG.
//!
//! Both have logarithmic scales, since what matters is where both are rare, and a place of its own for none at all.

use std::fmt::Write;

use super::sweep::{Performance, Point};
use crate::cli::intervals::Interval;

const LEFT: f64 = 84.0;
const RIGHT: f64 = 736.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 430.0;
/// From the place of none to where a scale begins.
const NONE_TO_SCALE: f64 = 40.0;
/// Between thresholds that are written down; nearer ones would cover each other.
const LABEL_DISTANCE: f64 = 34.0;
/// The rates that a spotter is judged by.
const RATES: [f64; 3] = [0.1, 0.5, 1.0];

/// The picture, for a model of this name.
///
/// `None` where there is nothing to draw: no command was spoken, or no time was without one.
pub(super) fn svg(name: &str, points: &[Point], shipped: &Performance, hours: f64) -> Option<String> {
    let scales = Scales::of(points, shipped, hours)?;
    let mut picture = String::new();
    scales.draw_frame(&mut picture, name, hours);
    let places: Vec<(f64, f64)> = points.iter().filter_map(|point| scales.place(&point.performance)).collect();
    let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    element(&mut picture, &format!("<polyline class='curve' points='{}'/>", line.join(" ")));
    let mut last = None;
    for (point, (x, y)) in points.iter().zip(&places) {
        let far = |(last_x, last_y): (f64, f64)| (x - last_x).hypot(y - last_y) >= LABEL_DISTANCE;
        let is_round = ((point.threshold * 1000.0).round() as u32).is_multiple_of(50);
        if is_round && last.is_none_or(far) {
            scales.draw_whiskers(&mut picture, "error", &point.performance);
            element(&mut picture, &format!("<circle class='point' cx='{x:.1}' cy='{y:.1}' r='3'/>"));
            text(&mut picture, (x + 6.0, y - 6.0), "start", &format!("{:.2}", point.threshold));
            last = Some((*x, *y));
        }
    }
    if let Some((x, y)) = scales.place(shipped) {
        scales.draw_whiskers(&mut picture, "shipped-error", shipped);
        let diamond = format!("M{x:.1} {:.1} l6 6 l-6 6 l-6 -6 z", y - 6.0);
        element(&mut picture, &format!("<path class='shipped' d='{diamond}'/>"));
    }
    Some(format!("{HEAD}{picture}</svg>\n"))
}

const HEAD: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='760' height='500' viewBox='0 0 760 500'>\n\
    <style>text{font:13px sans-serif;fill:#282828} .frame{fill:none;stroke:#282828} .grid{stroke:#e4e4e4} \
    .rate{stroke:#888;stroke-dasharray:4 4} .curve{fill:none;stroke:#2c718e;stroke-width:2} .point{fill:#2c718e} \
    .error{stroke:#2c718e;stroke-opacity:.35} .shipped{fill:#c8372d} .shipped-error{stroke:#c8372d;stroke-width:1.5}\
    </style>\n<rect width='760' height='500' fill='#fff'/>\n";

/// Where numbers lie in the picture.
struct Scales {
    rates: Scale,
    misses: Scale,
}

impl Scales {
    fn of(points: &[Point], shipped: &Performance, hours: f64) -> Option<Self> {
        let highest = shipped.false_accepts_an_hour?.max(1.0);
        let spoken = Some(shipped.hits + shipped.misses).filter(|spoken| *spoken > 0)?;
        let rates = points.iter().filter_map(|point| point.performance.false_accepts_an_hour);
        // One in all is the lowest share or rate but none.
        Some(Self {
            rates: Scale::between(1.0 / hours, rates.fold(highest, f64::max), LEFT, RIGHT),
            misses: Scale::between(1.0 / spoken as f64, 1.0, BOTTOM, TOP),
        })
    }

    fn place(&self, performance: &Performance) -> Option<(f64, f64)> {
        Some((self.rates.place(performance.false_accepts_an_hour?), self.misses.place(performance.miss_rate?)))
    }

    /// Both intervals, as lines through the point.
    fn draw_whiskers(&self, picture: &mut String, class: &str, performance: &Performance) {
        let Some((x, y)) = self.place(performance) else { return };
        let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| draw_line(picture, class, (x1, y1), (x2, y2));
        if let Some(Interval { low, high }) = performance.false_accepts_an_hour_95 {
            line(self.rates.place(low), y, self.rates.place(high), y);
        }
        if let Some(Interval { low, high }) = performance.miss_rate_95 {
            line(x, self.misses.place(low), x, self.misses.place(high));
        }
    }

    fn draw_frame(&self, picture: &mut String, name: &str, hours: f64) {
        let map = format!("x='{LEFT}' y='{TOP}' width='{}' height='{}'", RIGHT - LEFT, BOTTOM - TOP);
        for missed in self.misses.marks() {
            let y = self.misses.place(missed);
            draw_line(picture, "grid", (LEFT, y), (RIGHT, y));
            text(picture, (LEFT - 8.0, y + 4.0), "end", &format!("{} %", short(missed * 100.0)));
        }
        for rate in self.rates.marks() {
            let x = self.rates.place(rate);
            draw_line(picture, "grid", (x, TOP), (x, BOTTOM));
            text(picture, (x, BOTTOM + 20.0), "middle", &short(rate));
        }
        text(picture, (LEFT, BOTTOM + 20.0), "middle", "none");
        text(picture, (LEFT - 8.0, BOTTOM + 4.0), "end", "none");
        for rate in RATES.into_iter().filter(|rate| self.rates.has(*rate)) {
            let x = self.rates.place(rate);
            draw_line(picture, "rate", (x, TOP), (x, BOTTOM));
        }
        element(picture, &format!("<rect class='frame' {map}/>"));
        let title = format!("{name}: commands missed and false accepts, over {hours:.1} h without commands");
        text(picture, (LEFT, 24.0), "start", &title);
        let legend = "line: all thresholds moved together, some means written beside it · diamond: the bundle's own · bars: 95 %";
        text(picture, (LEFT, 44.0), "start", legend);
        text(picture, ((LEFT + RIGHT) / 2.0, BOTTOM + 48.0), "middle", "false accepts an hour");
        let (x, y) = (20.0, (TOP + BOTTOM) / 2.0);
        element(
            picture,
            &format!("<text x='{x}' y='{y}' text-anchor='middle' transform='rotate(-90 {x} {y})'>missed</text>"),
        );
    }
}

/// A logarithmic scale of whole decades, behind a place for none.
struct Scale {
    /// Ten to the power of this one begins the scale …
    first: i32,
    /// … and to that of this one ends it.
    last: i32,
    none: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// A scale that has both values, laid out from the place `none` to the place `end`.
    fn between(low: f64, high: f64, none: f64, end: f64) -> Self {
        let first = low.log10().floor() as i32;
        let last = (high.log10().ceil() as i32).max(first + 1);
        Self { first, last, none, start: none + NONE_TO_SCALE * (end - none).signum(), end }
    }

    /// Where a value lies; one beyond an end lies at that end, as the limits of an interval may.
    fn place(&self, value: f64) -> f64 {
        let decades = f64::from(self.last - self.first);
        match value > 0.0 {
            true => {
                let share = (value.log10() - f64::from(self.first)) / decades;
                self.start + (self.end - self.start) * share.clamp(0.0, 1.0)
            }
            false => self.none,
        }
    }

    fn has(&self, value: f64) -> bool {
        value.log10() >= f64::from(self.first)
    }

    /// One, two and five of each decade if there are few, else the decades alone.
    fn marks(&self) -> impl Iterator<Item = f64> {
        let steps: &[f64] = if self.last - self.first <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let end = 10f64.powi(self.last);
        (self.first..=self.last)
            .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)))
            .filter(move |mark| *mark <= end * 1.001)
    }
}

/// A number without the digits that only rounding has left.
fn short(number: f64) -> String {
    format!("{}", (number * 1e6).round() / 1e6)
}

fn element(picture: &mut String, element: &str) {
    picture.push_str(element);
    picture.push('\n');
}

fn draw_line(picture: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    // Writing into a string cannot fail.
    let _ = writeln!(picture, "<line class='{class}' x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}'/>");
}

fn text(picture: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(picture, "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::super::judge::Tally;
    use super::*;

    fn performance(misses: usize, false_accepts: usize, hours: f64) -> Performance {
        Performance::new(&Tally { spoken: 100, hits: 100 - misses, false_accepts, ..Tally::default() }, hours)
    }

    #[test]
    fn every_number_lies_within_the_picture_and_names_are_no_markup() {
        let hours = 6.5;
        let points: Vec<Point> = (30..100u8)
            .map(|hundredths| Point {
                threshold: f32::from(hundredths) / 100.0,
                performance: performance(usize::from(hundredths) - 30, 99 - usize::from(hundredths), hours),
            })
            .collect();
        let picture = svg("a<b & c", &points, &performance(4, 3, hours), hours).expect("a curve");
        assert!(picture.contains("a&lt;b &amp; c: ") && !picture.contains("NaN") && !picture.contains("inf"));
        let numbers = |name: &str| -> Vec<f64> {
            let mark = format!(" {name}='");
            let quoted = picture.split(&mark).skip(1);
            quoted.map(|rest| rest.split('\'').next().expect("a quote").parse().expect("a number")).collect()
        };
        for name in ["x1", "x2", "cx"] {
            assert!(numbers(name).iter().all(|x| (LEFT..=RIGHT).contains(x)), "{name}");
        }
        for name in ["y1", "y2", "cy"] {
            let found = numbers(name);
            assert!(!found.is_empty() && found.iter().all(|y| (TOP..=BOTTOM + 0.1).contains(y)), "{name} {found:?}");
        }
    }

    #[test]
    fn without_words_or_hours_there_is_no_picture() {
        let silent = Performance::new(&Tally::default(), 5.0);
        assert_eq!(svg("m", &[], &silent, 5.0), None);
        assert_eq!(svg("m", &[], &performance(1, 0, 0.0), 0.0), None);
        assert!(svg("m", &[], &performance(1, 0, 0.001), 0.001).is_some());
    }
}
