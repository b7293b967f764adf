//! Plots, drawn by the server: shapes in the units of their own space, and the same numbers as a table.

use crate::markup::{Moment, number};

/// The space that a plot has, and what is left around it for labels.
pub const WIDTH: f64 = 360.0;
pub const HEIGHT: f64 = 170.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;

/// What a template draws.
#[derive(Default)]
pub struct Plot {
    pub id: &'static str,
    pub title: &'static str,
    /// What it shows, in a sentence for whoever can't see it.
    pub description: String,
    /// Said in place of a plot that would show nothing.
    pub nothing: Option<&'static str>,
    pub ticks: Vec<Tick>,
    pub marks: Vec<Mark>,
    pub bars: Vec<Bar>,
    pub areas: Vec<Area>,
    /// Classes and what they stand for.
    pub legend: Vec<(&'static str, &'static str)>,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// A line across, with its value.
pub struct Tick {
    pub y: String,
    pub label: String,
}

/// A word below the plot.
pub struct Mark {
    pub x: String,
    pub label: String,
    pub anchor: &'static str,
}

pub struct Bar {
    pub x: String,
    pub y: String,
    pub width: String,
    pub height: String,
    pub class: &'static str,
    pub tip: String,
}

pub struct Area {
    pub points: String,
    pub class: &'static str,
}

/// One bar of a plot: how high, which class, and what is said of it.
pub struct Column {
    pub value: f64,
    pub class: &'static str,
    pub tip: String,
}

/// What two counts were at a time; the second stands on the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub at: f64,
    pub below: u64,
    pub above: u64,
}

impl Plot {
    /// Draws bars of equal width, with words at both ends.
    pub fn bars(&mut self, columns: Vec<Column>, ends: [String; 2], label: fn(f64) -> String) {
        let scale = Scale::up_to(columns.iter().map(|column| column.value).fold(0.0, f64::max));
        self.ticks = scale.ticks(label);
        self.marks = ends_of(ends);
        let step = (WIDTH - LEFT - RIGHT) / columns.len().max(1) as f64;
        // A gap between bars, and no bar wider than a thumb.
        let width = (step * 0.8).min(28.0);
        let columns = columns.into_iter().enumerate().filter(|(_, column)| column.value > 0.0);
        self.bars = columns
            .map(|(n, Column { value, class, tip })| {
                let y = scale.y(value);
                Bar {
                    x: unit(LEFT + n as f64 * step + (step - width) / 2.0),
                    // What is not nothing is seen.
                    y: unit(y.min(HEIGHT - BOTTOM - 1.0)),
                    width: unit(width),
                    height: unit((HEIGHT - BOTTOM - y).max(1.0)),
                    class,
                    tip,
                }
            })
            .collect();
    }

    /// Draws two counts over time, the second on top of the first; samples are in the order of time.
    pub fn stack(&mut self, samples: &[Sample], classes: [&'static str; 2]) {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
        let most = samples.iter().map(|sample| sum(sample) as f64).fold(0.0, f64::max);
        let scale = Scale::up_to(most);
        self.ticks = scale.ticks(short);
        self.marks = ends_of([day(first.at), day(last.at)]);
        let span = (last.at - first.at).max(1.0);
        let x = |at: f64| LEFT + (at - first.at) / span * (WIDTH - LEFT - RIGHT);
        let lines: [fn(&Sample) -> u64; 3] = [|_| 0, |sample| sample.below, sum];
        let line = |value: fn(&Sample) -> u64| -> Vec<String> {
            steps(samples)
                .iter()
                .map(|s| format!("{},{}", unit(x(s.at)), unit(scale.y(value(s) as f64))))
                .collect()
        };
        self.areas = (0..2)
            .map(|n| {
                let (base, top) = (line(lines[n]), line(lines[n + 1]));
                let points: Vec<String> = top.into_iter().chain(base.into_iter().rev()).collect();
                Area { points: points.join(" "), class: classes[n] }
            })
            .collect();
    }
}

fn sum(sample: &Sample) -> u64 {
    sample.below.saturating_add(sample.above)
}

// A count holds until the next one: it does not rise in between.
fn steps(samples: &[Sample]) -> Vec<Sample> {
    let mut all: Vec<Sample> = Vec::with_capacity(2 * samples.len());
    for sample in samples {
        if let Some(before) = all.last().copied() {
            all.push(Sample { at: sample.at, ..before });
        }
        all.push(*sample);
    }
    all
}

fn ends_of([first, last]: [String; 2]) -> Vec<Mark> {
    vec![
        Mark { x: unit(LEFT), label: first, anchor: "start" },
        Mark { x: unit(WIDTH - RIGHT), label: last, anchor: "end" },
    ]
}

/// From values to heights.
#[derive(Debug, PartialEq)]
struct Scale {
    /// The value at the top.
    top: f64,
    step: f64,
}

impl Scale {
    /// The smallest scale that reaches so far, in at most five steps of 1, 2 or 5 of a power of ten.
    fn up_to(most: f64) -> Scale {
        let most = if most.is_finite() { most.max(1.0) } else { 1.0 };
        let power = 10_f64.powf((most / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| step * 5.0 >= most);
        let step = step.unwrap_or(most / 5.0).max(if most <= 5.0 { 1.0 } else { 0.0 });
        Scale { top: (most / step).ceil() * step, step }
    }

    fn y(&self, value: f64) -> f64 {
        let room = HEIGHT - TOP - BOTTOM;
        TOP + room * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }

    fn ticks(&self, label: fn(f64) -> String) -> Vec<Tick> {
        let mut ticks = Vec::new();
        let mut value = 0.0;
        while value <= self.top + self.step / 2.0 {
            ticks.push(Tick { y: unit(self.y(value)), label: label(value) });
            value += self.step;
        }
        ticks
    }
}

// A tenth of a unit is less than anybody sees.
fn unit(value: f64) -> String {
    format!("{value:.1}")
}

/// A number that fits beside a line: `1.5 k`, `2 M`.
pub fn short(value: f64) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    let (size, name) = units.into_iter().find(|(size, _)| value >= *size).unwrap_or((1.0, ""));
    let tenths = (value / size * 10.0).round() / 10.0;
    format!("{tenths}{name}")
}

/// Seconds that fit beside a line.
pub fn seconds(value: f64) -> String {
    match value {
        0.0..60.0 => format!("{} s", short(value)),
        60.0..3600.0 => format!("{} min", short(value / 60.0)),
        _ => format!("{} h", short(value / 3600.0)),
    }
}

/// A date that fits below a plot.
pub fn day(seconds: f64) -> String {
    let iso = Moment { seconds }.iso();
    format!("{} {}", &iso[5..10], &iso[11..16])
}

/// A count in a table.
pub fn cell(count: u64) -> String {
    number(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number_in_few_steps() {
        for (most, top, step) in [
            (0.0, 1.0, 1.0),
            (3.0, 3.0, 1.0),
            (7.0, 8.0, 2.0),
            (10.0, 10.0, 2.0),
            (23.0, 25.0, 5.0),
            (999.0, 1000.0, 200.0),
        ] {
            assert_eq!(Scale::up_to(most), Scale { top, step }, "{most}");
        }
        for most in [1e6 + 1.0, 4.2e12, f64::MAX / 1e10, f64::NAN, f64::INFINITY] {
            let ticks = Scale::up_to(most).ticks(short);
            assert!((2..=7).contains(&ticks.len()), "{most}: {}", ticks.len());
        }
    }

    #[test]
    fn heights_go_from_the_bottom_to_the_top() {
        let scale = Scale::up_to(10.0);
        assert_eq!((scale.y(0.0), scale.y(10.0)), (HEIGHT - BOTTOM, TOP));
        assert_eq!((scale.y(-5.0), scale.y(99.0)), (HEIGHT - BOTTOM, TOP));
    }

    #[test]
    fn bars_stay_within_the_space_and_small_ones_are_seen() {
        let column = |value: f64| Column { value, class: "put", tip: String::new() };
        let mut plot = Plot::default();
        plot.bars(vec![column(0.0), column(1.0), column(1e6)], [String::new(), String::new()], short);
        assert_eq!(plot.bars.len(), 2, "nothing is no bar");
        for bar in &plot.bars {
            let of = |text: &str| text.parse::<f64>().unwrap();
            assert!(of(&bar.height) >= 1.0 && of(&bar.y) + of(&bar.height) <= HEIGHT - BOTTOM + 0.1);
            assert!(of(&bar.x) >= LEFT && of(&bar.x) + of(&bar.width) <= WIDTH);
        }
    }

    #[test]
    fn a_count_holds_until_the_next_one() {
        let samples = [Sample { at: 0.0, below: 1, above: 0 }, Sample { at: 10.0, below: 1, above: 4 }];
        let all = steps(&samples);
        assert_eq!(all.iter().map(|s| (s.at, s.above)).collect::<Vec<_>>(), [(0.0, 0), (10.0, 0), (10.0, 4)]);
        let mut plot = Plot::default();
        plot.stack(&samples, ["bulk", "put"]);
        assert_eq!(plot.areas.len(), 2);
        assert!(plot.areas[1].points.contains(&format!("{},{}", unit(WIDTH - RIGHT), unit(TOP))));
        plot.stack(&[], ["bulk", "put"]);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!((short(0.0), short(1500.0), short(2e6)), ("0".into(), "1.5 k".into(), "2 M".into()));
        assert_eq!(
            (seconds(30.0), seconds(90.0), seconds(7200.0)),
            ("30 s".into(), "1.5 min".into(), "2 h".into())
        );
        assert_eq!(day(1_709_210_096.0), "02-29 12:34");
    }
}
