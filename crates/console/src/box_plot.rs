//! The range of a column's numbers as a picture: whiskers from the least to the greatest, a box over the middle half.

/// The width that the least and the greatest number are apart, and what is left free beside them.
const WIDTH: f64 = 112.0;
const MARGIN: f64 = 4.0;

/// Where the parts stand, in units of the picture.
#[derive(Debug, PartialEq)]
pub struct BoxPlot {
    pub least: f64,
    pub lower: f64,
    pub median: f64,
    pub upper: f64,
    pub greatest: f64,
}

impl BoxPlot {
    /// `None` for numbers that are out of order, as those of no records are.
    pub fn new(least: f64, quartiles: [f64; 3], greatest: f64) -> Option<BoxPlot> {
        let [lower, median, upper] = quartiles;
        let all = [least, lower, median, upper, greatest];
        if !all.iter().all(|number| number.is_finite()) || !all.is_sorted() {
            return None;
        }
        // Halved first: the ends of all numbers are further apart than a number can say.
        let span = greatest / 2.0 - least / 2.0;
        let at = |number: f64| {
            let share = if span > 0.0 { (number / 2.0 - least / 2.0) / span } else { 0.5 };
            MARGIN + (share * WIDTH * 10.0).round() / 10.0
        };
        let (lower, median, upper) = (at(lower), at(median), at(upper));
        Some(BoxPlot { least: at(least), lower, median, upper, greatest: at(greatest) })
    }

    /// How wide the box is; never so narrow that nobody sees it.
    pub fn width(&self) -> f64 {
        (self.upper - self.lower).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_at_the_margins_and_the_rest_between() {
        let plot = BoxPlot::new(0.0, [25.0, 50.0, 75.0], 100.0).unwrap();
        assert_eq!((plot.least, plot.lower, plot.median), (4.0, 32.0, 60.0));
        assert_eq!((plot.upper, plot.greatest, plot.width()), (88.0, 116.0, 56.0));
    }

    #[test]
    fn one_number_alone_stands_in_the_middle() {
        let plot = BoxPlot::new(7.0, [7.0; 3], 7.0).unwrap();
        assert_eq!((plot.least, plot.median, plot.greatest, plot.width()), (60.0, 60.0, 60.0, 1.0));
    }

    #[test]
    fn the_widest_range_has_a_picture_and_what_is_none_has_not() {
        assert!(BoxPlot::new(f64::MIN, [-1.0, 0.0, 1.0], f64::MAX).is_some());
        assert_eq!(BoxPlot::new(1.0, [0.0, 0.0, 0.0], 2.0), None);
        assert_eq!(BoxPlot::new(f64::NAN, [0.0, 0.0, 0.0], 2.0), None);
    }
}
