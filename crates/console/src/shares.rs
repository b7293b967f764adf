//! How a whole is divided: the widths of a bar's parts, and shares in words.

/// Divides a width among counts, in proportion: what is not nothing stays visible, and the parts fill the whole.
pub fn widths(counts: &[u64], whole: u64, least: u64) -> Vec<u64> {
    let sum: u128 = counts.iter().map(|count| u128::from(*count)).sum();
    let visible = counts.iter().filter(|count| **count > 0).count() as u64;
    if sum == 0 || visible * least > whole {
        return vec![0; counts.len()];
    }
    // Each visible part has the least, and the rest is divided; what rounding leaves goes to the largest.
    let rest = whole - visible * least;
    let part = |count: &u64| match count {
        0 => 0,
        count => least + u64::try_from(u128::from(*count) * u128::from(rest) / sum).unwrap_or(0),
    };
    let mut widths: Vec<u64> = counts.iter().map(part).collect();
    let left = whole - widths.iter().sum::<u64>();
    if let Some((at, _)) = counts.iter().enumerate().max_by_key(|(_, count)| **count) {
        widths[at] += left;
    }
    widths
}

/// A share in percent: what is something is never 0 %, and what is not all is never 100 %.
pub fn percent(part: u64, whole: u64) -> String {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    let tenths = (part * 1000 + whole / 2) / whole;
    match tenths {
        _ if part == 0 => "0 %".to_owned(),
        0 => "< 0.1 %".to_owned(),
        1000 if part < whole => "> 99.9 %".to_owned(),
        _ if tenths % 10 == 0 => format!("{} %", tenths / 10),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_whole_and_small_ones_are_seen() {
        for counts in [&[6, 4][..], &[1, 999_999_999, 0, 3], &[u64::MAX, u64::MAX, 1], &[7]] {
            let widths = widths(counts, 1000, 4);
            assert_eq!(widths.iter().sum::<u64>(), 1000, "{counts:?}");
            for (count, width) in counts.iter().zip(widths) {
                assert_eq!(*count > 0, width >= 4, "{counts:?}");
            }
        }
        assert_eq!(widths(&[6, 4], 1000, 0), [600, 400]);
        assert_eq!(widths(&[0, 0], 1000, 4), [0, 0]);
        assert_eq!(widths(&[1, 1, 1], 10, 4), [0, 0, 0]);
    }

    #[test]
    fn shares_are_told_without_rounding_anything_away() {
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(5, 10), "50 %");
        assert_eq!(percent(1, 1_000_000), "< 0.1 %");
        assert_eq!(percent(999_999, 1_000_000), "> 99.9 %");
        assert_eq!((percent(7, 7).as_str(), percent(0, 7).as_str()), ("100 %", "0 %"));
        assert_eq!((percent(3146, 3162), percent(16, 3162)), ("99.5 %".to_owned(), "0.5 %".to_owned()));
        assert_eq!((percent(u64::MAX, u64::MAX).as_str(), percent(0, 0).as_str()), ("100 %", "0 %"));
    }
}
