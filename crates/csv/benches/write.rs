//! Writing single values: whole numbers of several lengths, fractions, text.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const VALUES: u64 = 8192;

/// Numbers that look random: the same ones every time.
fn pick(n: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

fn bench<T>(bencher: Bencher<'_, '_>, value: impl Fn(u64) -> T, write: impl Fn(&T, &mut Vec<u8>) + Sync)
where
    T: Sync,
{
    let values: Vec<T> = (0..VALUES).map(|n| value(pick(n))).collect();
    let mut out = Vec::with_capacity(1 << 20);
    bencher.counter(ItemsCount::new(VALUES)).bench_local(|| {
        out.clear();
        values.iter().for_each(|value| write(value, &mut out));
        black_box(out.len())
    });
}

#[divan::bench(args = [10, 100_000, 2_000_000_000, i64::MAX as u64])]
fn longs_below(bencher: Bencher<'_, '_>, limit: u64) {
    bench(bencher, |n| (n % limit) as i64, |value, out| csv::write::write_long(*value, out));
}

#[divan::bench]
fn timestamps(bencher: Bencher<'_, '_>) {
    let timestamp = |n| 1_700_000_000 + (n % 31_536_000) as i64;
    bench(bencher, timestamp, |value, out| csv::write::write_long(*value, out));
}

#[divan::bench]
fn prices(bencher: Bencher<'_, '_>) {
    let price = |n| (100 + n % 9900) as f64 / 100.0;
    bench(bencher, price, |value, out| csv::write::write_double(*value, out));
}

#[divan::bench]
fn fractions(bencher: Bencher<'_, '_>) {
    bench(bencher, |n| n as f64 / 1e7, |value, out| csv::write::write_double(*value, out));
}

#[divan::bench(args = ["item00042", "a longer text without anything special", "he said \"no\", twice"])]
fn text(bencher: Bencher<'_, '_>, text: &str) {
    bench(bencher, |_| text.to_owned(), |value, out| csv::write::write_string(value, out));
}
