//! The encoder over batches that are in memory: interactions with and without dictionaries, text in quotes, fractions.

// What fails here fails the benchmark.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::{Float64Array, Int32Array, Int64Array, StringArray};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use engine::export::encode::Encoder;
use engine::export::pool::Pool;
use store::Rows;
use store::rows::{Coded, Dictionary, Values};

fn main() {
    divan::main();
}

const BATCHES: u64 = 64;
const BATCH_ROWS: u64 = 8192;

/// Numbers that look random: the same ones every time.
fn pick(n: u64, salt: u64) -> u64 {
    let mixed = (n ^ salt << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

fn coded(values: Vec<String>, code: impl Fn(u64) -> u64) -> impl Fn(u64) -> Values {
    let dictionary = Arc::new(Dictionary::new(StringArray::from(values)));
    move |batch| {
        let codes: Int32Array = numbers(batch).map(|n| code(n) as i32).collect();
        Values::Coded(Coded::new(codes, dictionary.clone()))
    }
}

fn strings(value: impl Fn(u64) -> String) -> impl Fn(u64) -> Values {
    move |batch| Values::Strings(numbers(batch).map(|n| Some(value(n))).collect::<StringArray>())
}

fn doubles(value: impl Fn(u64) -> f64) -> impl Fn(u64) -> Values {
    move |batch| Values::Doubles(numbers(batch).map(&value).collect::<Float64Array>())
}

fn timestamps(batch: u64) -> Values {
    Values::Longs(
        numbers(batch).map(|n| 1_700_000_000 + (pick(n, 4) % 31_536_000) as i64).collect::<Int64Array>(),
    )
}

fn numbers(batch: u64) -> std::ops::Range<u64> {
    batch * BATCH_ROWS..(batch + 1) * BATCH_ROWS
}

fn bench(bencher: Bencher<'_, '_>, columns: &[&dyn Fn(u64) -> Values]) {
    let rows = |batch| {
        let columns = columns.iter().map(|column| column(batch)).collect();
        Arc::new(Rows { hashes: vec![0; BATCH_ROWS as usize], columns, arrivals: vec![] })
    };
    let batches: Vec<Arc<Rows>> = (0..BATCHES).map(rows).collect();
    let pool = Pool::default();
    bencher.counter(ItemsCount::new(BATCHES * BATCH_ROWS)).bench(|| {
        let mut take = |piece: Vec<u8>| {
            pool.give_back(black_box(piece));
            Ok(())
        };
        let mut encoder = Encoder::new(&pool, &mut take);
        for rows in &batches {
            encoder.write(rows, 0..rows.len()).unwrap();
        }
        encoder.end().unwrap()
    });
}

fn user(n: u64) -> u64 {
    n / 20
}

fn item(n: u64) -> u64 {
    pick(n, 2) % 50_000
}

const KINDS: [&str; 10] =
    ["purchase", "cart", "cart", "click", "click", "click", "view", "view", "view", "view"];

fn price(n: u64) -> f64 {
    (100 + pick(n, 5) % 9900) as f64 / 100.0
}

#[divan::bench]
fn interactions_with_dictionaries(bencher: Bencher<'_, '_>) {
    let users = coded((0..30_000).map(|n| format!("u{n:07}")).collect(), user);
    let items = coded((0..50_000).map(|n| format!("item{n:05}")).collect(), item);
    let kinds = coded(KINDS.map(str::to_owned).to_vec(), |n| pick(n, 3) % 10);
    bench(bencher, &[&users, &items, &kinds, &timestamps, &doubles(price)]);
}

#[divan::bench]
fn interactions_without_dictionaries(bencher: Bencher<'_, '_>) {
    let users = strings(|n| format!("u{:07}", user(n)));
    let items = strings(|n| format!("item{:05}", item(n)));
    let kinds = strings(|n| KINDS[(pick(n, 3) % 10) as usize].to_owned());
    bench(bencher, &[&users, &items, &kinds, &timestamps, &doubles(price)]);
}

#[divan::bench]
fn text_in_quotes(bencher: Bencher<'_, '_>) {
    let words = ["plain", "words", "of a", "text", "he said \"no\"", "one, two", "über", "line\nbreak"];
    let text = |n| (0..12).map(|k| words[(pick(n, 10 + k) % 8) as usize]).collect::<Vec<_>>().join(" ");
    bench(bencher, &[&strings(|n| format!("i{n:08}")), &strings(text)]);
}

#[divan::bench]
fn whole_numbers(bencher: Bencher<'_, '_>) {
    bench(bencher, &[&timestamps]);
}

#[divan::bench]
fn hundredths(bencher: Bencher<'_, '_>) {
    bench(bencher, &[&doubles(price)]);
}

#[divan::bench]
fn other_fractions(bencher: Bencher<'_, '_>) {
    bench(bencher, &[&doubles(|n| pick(n, 6) as f64 / 1e7)]);
}
