use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{DatasetType, Schema};
use proptest::prelude::*;
use store::merge::Batches;
use store::{Arrivals, RowsBuilder};

use super::*;
use crate::Progress;

const SINCE_S: i64 = 1_790_000_000;

fn interactions() -> Layout {
    let schema = r#"{"type":"record","name":"Interactions","fields":[{"name":"USER_ID","type":"string"},
        {"name":"EVENT_TYPE","type":"string"},{"name":"ITEM_ID","type":"string"},
        {"name":"EVENT_VALUE","type":["float","null"]},{"name":"TIMESTAMP","type":"long"},
        {"name":"COUNT","type":["int","null"]},{"name":"EVENT_ATTRIBUTION_SOURCE","type":["string","null"]}]}"#;
    Layout::new(DatasetType::Interactions, &Schema::parse(schema, None).unwrap())
}

fn items() -> Layout {
    let schema = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
        {"name":"PRICE","type":["float","null"]},{"name":"WEIGHT","type":["long","null"]}]}"#;
    Layout::new(DatasetType::Items, &Schema::parse(schema, None).unwrap())
}

fn metric(name: &str, event_type: &str, expression: &str) -> Metric {
    let expression = Expression::parse(expression).unwrap();
    Metric { name: name.into(), event_type: event_type.into(), expression }
}

#[derive(Clone, Debug)]
struct Event {
    kind: &'static str,
    item: &'static str,
    value: Option<f64>,
    count: Option<i64>,
    at_s: i64,
    source: Option<&'static str>,
}

impl Event {
    fn values(&self) -> Vec<Value<'_>> {
        vec![
            Value::String("u".into()),
            Value::String(self.kind.into()),
            Value::String(self.item.into()),
            self.value.map_or(Value::Null, Value::Double),
            Value::Long(self.at_s),
            self.count.map_or(Value::Null, Value::Long),
            self.source.map_or(Value::Null, |source| Value::String(source.into())),
        ]
    }
}

fn event(kind: &'static str, at_s: i64) -> Event {
    Event { kind, item: "i1", value: None, count: None, at_s, source: None }
}

/// Item, PRICE, WEIGHT and sequence number.
type Item = (&'static str, Option<f64>, Option<i64>, u64);

fn runs(records: &[Item]) -> Vec<Batches> {
    let mut codec_bytes: Vec<(Vec<u8>, u64)> = Vec::new();
    for (id, price, weight, sequence) in records {
        let values = [
            Value::String((*id).into()),
            price.map_or(Value::Null, Value::Double),
            weight.map_or(Value::Null, Value::Long),
        ];
        let mut bytes = Vec::new();
        model::record::Codec::new(&items()).encode(&values, &mut bytes);
        codec_bytes.push((bytes, *sequence));
    }
    codec_bytes.sort();
    let mut builder = RowsBuilder::new(&items());
    for (bytes, sequence) in codec_bytes {
        builder.push_record(&bytes, Arrivals::once(sequence)).unwrap();
    }
    let batches: Batches = Box::new(std::iter::once(Ok(Arc::new(builder.take()))));
    vec![batches]
}

fn numbers(records: &[Item], metrics: &[Metric], memory_bytes: usize) -> Result<ItemNumbers> {
    ItemNumbers::read(&items(), runs(records), &item_columns(metrics), memory_bytes, &Progress::default())
}

fn lines(metrics: &[Metric], records: &[Item], events: &[Event]) -> Vec<String> {
    let numbers = numbers(records, metrics, 1 << 20).unwrap();
    let mut aggregator =
        Aggregator::new(&interactions(), metrics.to_vec(), numbers, SINCE_S, 1 << 20).unwrap();
    for event in events {
        aggregator.push(&event.values()).unwrap();
    }
    let text = String::from_utf8(aggregator.report().unwrap()).unwrap();
    let mut lines = text.lines().map(str::to_owned);
    let header = "METRIC_NAME,EVENT_TYPE,VALUE,MATH_FUNCTION,EVENT_ATTRIBUTION_SOURCE,TIMESTAMP";
    assert_eq!(lines.next().as_deref(), Some(header));
    lines.collect()
}

#[test]
fn a_report_without_events_has_a_header_only() {
    assert!(lines(&[metric("m", "watch", "SAMPLECOUNT()")], &[], &[event("click", SINCE_S)]).is_empty());
}

#[test]
fn events_before_the_beginning_are_left_out() {
    let events = [event("watch", SINCE_S - 1), event("watch", SINCE_S), event("watch", i64::MIN)];
    let found = lines(&[metric("m", "watch", "SAMPLECOUNT()")], &[], &events);
    assert_eq!(found, ["M,WATCH,1.0,samplecount,SOURCE_NAME_UNDEFINED,1789999200"]);
}

#[test]
fn a_bucket_is_a_quarter_of_an_hour_and_named_by_its_beginning() {
    let start_s = 1_790_000_100;
    assert_eq!(start_s % 900, 0);
    let events = [start_s, start_s + 899, start_s + 900, start_s + 900].map(|at_s| event("watch", at_s));
    let found = lines(&[metric("m", "watch", "SAMPLECOUNT()")], &[], &events);
    let row = |value, bucket| format!("M,WATCH,{value},samplecount,SOURCE_NAME_UNDEFINED,{bucket}");
    assert_eq!(found, [row("2.0", start_s), row("2.0", start_s + 900)]);
}

#[test]
fn rows_come_by_metric_then_source_then_time() {
    let at = |source, at_s| Event { source, ..event("watch", at_s) };
    let events =
        [at(Some("b"), SINCE_S + 900), at(Some("b"), SINCE_S), at(None, SINCE_S), at(Some("a"), SINCE_S)];
    let metrics = [metric("z", "watch", "SAMPLECOUNT()"), metric("a", "watch", "SUM(Interactions.COUNT)")];
    let row = |name, value, function, source: &str, bucket: i64| {
        format!("{name},WATCH,{value},{function},{source},{bucket}")
    };
    let of_metric = |name, value, function| {
        [("SOURCE_NAME_UNDEFINED", 0), ("a", 0), ("b", 0), ("b", 900)]
            .map(|(source, later)| row(name, value, function, source, 1_789_999_200 + later))
    };
    assert_eq!(
        lines(&metrics, &[], &events),
        [of_metric("Z", "1.0", "samplecount"), of_metric("A", "0.0", "sum")].concat()
    );
}

#[test]
fn the_newest_record_of_an_item_tells_its_number() {
    let metrics = [metric("p", "buy", "SUM(Items.PRICE)"), metric("w", "buy", "SUM(Items.WEIGHT)")];
    let records =
        [("i1", Some(5.0), Some(1), 3), ("i1", Some(19.99), None, 7), ("i1", Some(1.0), Some(9), 5)];
    let unknown = Event { item: "i9", ..event("buy", SINCE_S) };
    let found = lines(&metrics, &records, &[event("buy", SINCE_S), event("buy", SINCE_S), unknown]);
    let tail = "sum,SOURCE_NAME_UNDEFINED,1789999200";
    assert_eq!(found, [format!("P,BUY,39.98,{tail}"), format!("W,BUY,0.0,{tail}")]);
}

#[test]
fn names_that_need_quotes_have_them() {
    let metrics = [metric("sold, \"now\"", "straße", "SAMPLECOUNT()")];
    let found = lines(&metrics, &[], &[event("straße", SINCE_S)]);
    assert_eq!(found, ["\"SOLD, \"\"NOW\"\"\",STRASSE,1.0,samplecount,SOURCE_NAME_UNDEFINED,1789999200"]);
}

#[test]
fn a_sum_beyond_all_numbers_is_refused_by_the_name_of_its_metric() {
    let metrics = vec![metric("huge", "buy", "SUM(Interactions.EVENT_VALUE)")];
    let mut aggregator =
        Aggregator::new(&interactions(), metrics, ItemNumbers::default(), SINCE_S, 1 << 20).unwrap();
    for _ in 0..2 {
        let huge = Event { value: Some(f64::MAX), ..event("buy", SINCE_S) };
        aggregator.push(&huge.values()).unwrap();
    }
    let refused = aggregator.report().unwrap_err();
    assert_eq!(refused.message(), "The metric huge adds up to a number that is too large for a report.");
}

#[test]
fn a_report_that_outgrows_its_memory_is_refused() {
    let metrics = vec![metric("m", "watch", "SAMPLECOUNT()")];
    let mut aggregator =
        Aggregator::new(&interactions(), metrics, ItemNumbers::default(), SINCE_S, 10_000).unwrap();
    let refused = (0..1000).find_map(|n| {
        let event = event("watch", SINCE_S + n * 900);
        aggregator.push(&event.values()).err()
    });
    assert!(refused.unwrap().message().starts_with("The report of the metric attribution has too many rows"));
}

#[test]
fn items_that_outgrow_their_memory_are_refused() {
    let metrics = [metric("p", "buy", "SUM(Items.PRICE)")];
    let records = [("i1", Some(1.0), None, 1), ("i2", Some(2.0), None, 2)];
    assert!(numbers(&records, &metrics, 2 * size_of::<(u64, f64)>()).is_ok());
    let refused = numbers(&records, &metrics, size_of::<(u64, f64)>()).err().unwrap();
    assert!(refused.message().starts_with("The Items dataset has more items"), "{refused}");
}

#[test]
fn a_column_without_numbers_can_not_be_summed() {
    for expression in ["SUM(Interactions.USER_ID)", "SUM(Interactions.NONE)"] {
        let metrics = vec![metric("m", "watch", expression)];
        let made = Aggregator::new(&interactions(), metrics, ItemNumbers::default(), SINCE_S, 1 << 20);
        assert!(made.is_err(), "{expression}");
    }
    assert!(numbers(&[], &[metric("m", "watch", "SUM(Items.ITEM_ID)")], 1 << 20).is_err());
}

fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(vec!["watch", "buy", "Watch"]);
    let item = prop::sample::select(vec!["i1", "i2", "i3", "none"]);
    let source = prop::option::of(prop::sample::select(vec!["s1", "s2", "s,3", "SOURCE_NAME_UNDEFINED"]));
    // Halves add up exactly in any order.
    let value = prop::option::of((-8..8i32).prop_map(|n| f64::from(n) / 2.0));
    let at_s = SINCE_S - 1000..SINCE_S + 4000;
    (kind, item, value, prop::option::of(0..9i64), at_s, source)
        .prop_map(|(kind, item, value, count, at_s, source)| Event { kind, item, value, count, at_s, source })
}

proptest! {
    #[test]
    fn reports_are_those_of_a_naive_model(
        events in prop::collection::vec(any_event(), 0..60),
        prices in prop::collection::vec((prop::sample::select(vec!["i1", "i2", "i3"]), prop::option::of(0..20i32)), 0..8),
    ) {
        let metrics = [
            metric("count", "watch", "SAMPLECOUNT()"),
            metric("value", "buy", "SUM(Interactions.EVENT_VALUE)"),
            metric("number", "watch", "SUM(Interactions.COUNT)"),
            metric("price", "watch", "SUM(Items.PRICE)"),
        ];
        let mut newest: HashMap<&str, f64> = HashMap::new();
        let mut records: Vec<Item> = Vec::new();
        for (n, (id, price)) in prices.iter().enumerate() {
            let price = price.map(|p| f64::from(p) / 4.0);
            // Equal records are one in a run.
            if !records.iter().any(|(other, p, ..)| other == id && *p == price) {
                records.push((id, price, None, n as u64));
                newest.insert(id, price.unwrap_or(0.0));
            }
        }
        let mut expected: BTreeMap<(usize, &str, i64), f64> = BTreeMap::new();
        for event in events.iter().filter(|event| event.at_s >= SINCE_S) {
            let bucket = event.at_s / 900 * 900;
            let source = event.source.unwrap_or("SOURCE_NAME_UNDEFINED");
            let adds = [1.0, event.value.unwrap_or(0.0), event.count.unwrap_or(0) as f64, *newest.get(event.item).unwrap_or(&0.0)];
            for (n, metric) in metrics.iter().enumerate().filter(|(_, m)| m.event_type == event.kind) {
                prop_assert_eq!(&metric.event_type, event.kind);
                *expected.entry((n, source, bucket)).or_default() += adds[n];
            }
        }
        let row = |((n, source, bucket), value): (&(usize, &str, i64), &f64)| {
            let source = if source.contains(',') { format!("\"{source}\"") } else { (*source).to_owned() };
            let metric = &metrics[*n];
            let (name, kind) = (metric.name.to_uppercase(), metric.event_type.to_uppercase());
            let function = if *n == 0 { "samplecount" } else { "sum" };
            // No minus before nothing.
            format!("{name},{kind},{:?},{function},{source},{bucket}", value + 0.0)
        };
        let expected: Vec<String> = expected.iter().map(row).collect();
        prop_assert_eq!(lines(&metrics, &records, &events), expected);
    }
}
