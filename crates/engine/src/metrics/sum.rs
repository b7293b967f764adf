//! A sum of many numbers that keeps what each addition rounds off.

/// The sum so far, and what was rounded off it (Neumaier's variant of Kahan's summation).
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    sum: f64,
    rounded_off: f64,
}

impl Sum {
    pub fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        self.rounded_off += if self.sum.abs() >= number.abs() {
            (self.sum - sum) + number
        } else {
            (number - sum) + self.sum
        };
        self.sum = sum;
    }

    /// Not finite when the numbers add up to more than 64 bits hold.
    pub fn total(&self) -> f64 {
        self.sum + self.rounded_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(numbers: &[f64]) -> f64 {
        let mut sum = Sum::default();
        numbers.iter().for_each(|number| sum.add(*number));
        sum.total()
    }

    #[test]
    fn what_is_rounded_off_comes_back() {
        assert_eq!(total(&[0.1; 10]), 1.0);
        assert_eq!(total(&[0.7; 1000]), 700.0);
        assert_eq!(total(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(total(&[]), 0.0);
    }

    #[test]
    fn a_sum_that_is_too_large_is_no_number() {
        assert!(!total(&[f64::MAX, f64::MAX]).is_finite());
        assert!(!total(&[f64::MAX, f64::MAX, -f64::MAX]).is_finite());
    }
}
