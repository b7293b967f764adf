//! Every rule at its limit, and an analysis beside a naive count.

use std::collections::{BTreeMap, BTreeSet};

use csv::value::ValueReader;
use model::record::{Codec, Value};
use model::{DatasetType, Origin, Realm, Schema};
use proptest::prelude::*;
use store::{Arrivals, Objects, OpenRun, RunWriter, Sorter};

use super::sample::fold;
use super::*;
use crate::export::SourceRun;

const CLICKS: &str = "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long";
const GOODS: &str = "ITEM_ID:string PRICE:float? GENRES:string?:categorical STORY:string?:textual";

/// A dataset in runs of its own folder: each a batch of records that arrived one after the other.
struct Stage {
    folder: tempfile::TempDir,
    layout: Layout,
    source: Source,
    sequence: u64,
}

impl Stage {
    fn of(dataset_type: DatasetType, fields: &str) -> Stage {
        let fields: Vec<String> = fields.split(' ').map(avro).collect();
        let text = format!(
            r#"{{"type":"record","name":"{}","fields":[{}]}}"#,
            dataset_type.record_name(),
            fields.join(",")
        );
        let layout = Layout::new(dataset_type, &Schema::parse(&text, None).unwrap());
        let source = Source { runs: Vec::new(), csv_bytes: 0 };
        Stage { folder: tempfile::tempdir().unwrap(), layout, source, sequence: 1 }
    }

    /// Adds a run; its lines are comma separated, in the order of the fields.
    fn with(mut self, origin: Origin, lines: impl IntoIterator<Item = String>) -> Stage {
        let objects = Objects::open(&self.folder.path().join("runs")).unwrap();
        let (codec, object) = (Codec::new(&self.layout), format!("run{}", self.sequence));
        let mut sorter = Sorter::new(self.folder.path().join("sort"), 1 << 20);
        for line in lines {
            let readers = self.layout.columns.iter().map(ValueReader::new);
            let values: Vec<Value<'_>> =
                readers.zip(line.split(',')).map(|(r, text)| r.read(text).unwrap()).collect();
            let mut bytes = Vec::new();
            codec.encode(&values, &mut bytes);
            sorter.push(&bytes, Arrivals::once(self.sequence)).unwrap();
            self.sequence += 1;
        }
        let mut writer = RunWriter::create(&objects, &object, &self.layout).unwrap();
        let mut sorted = sorter.finish().unwrap();
        while let Some((record, arrivals)) = sorted.next_record().unwrap() {
            writer.push_record(record, arrivals).unwrap();
        }
        let file = writer.finish().unwrap();
        let run = OpenRun::open(&objects, &file.object, &self.layout, 0).unwrap();
        self.source.runs.push(SourceRun { origin, run, rows: file.rows, records: file.records });
        self
    }
}

fn avro(field: &str) -> String {
    let mut parts = field.split(':');
    let (name, kind) = (parts.next().unwrap(), parts.next().unwrap());
    let kind = kind.strip_suffix('?').map_or(format!(r#""{kind}""#), |k| format!(r#"["{k}","null"]"#));
    let attribute = parts.next().map_or(String::new(), |attribute| format!(r#","{attribute}":true"#));
    format!(r#"{{"name":"{name}","type":{kind}{attribute}}}"#)
}

fn analyse(datasets: &[&Stage]) -> Analysis {
    analyse_within(16 << 20, datasets)
}

fn analyse_within(memory_bytes: usize, datasets: &[&Stage]) -> Analysis {
    analyse_by(2, memory_bytes, datasets)
}

fn analyse_by(threads: usize, memory_bytes: usize, datasets: &[&Stage]) -> Analysis {
    let realm = Realm { region: "us-east-1".into(), account: "000000000000".into() };
    let mut analyst = Analyst::new(memory_bytes, threads, datasets.len());
    for stage in datasets {
        let arn = realm.dataset("g", stage.layout.dataset_type);
        analyst.read(arn, &stage.layout, &stage.source, &Progress::default()).unwrap();
    }
    analyst.finish()
}

fn clicks(lines: impl IntoIterator<Item = String>) -> Stage {
    Stage::of(DatasetType::Interactions, CLICKS).with(Origin::Bulk, lines)
}

fn goods(lines: impl IntoIterator<Item = String>) -> Stage {
    Stage::of(DatasetType::Items, GOODS).with(Origin::Bulk, lines)
}

/// The insights of a code: of which column, how severe, what was measured.
fn found(analysis: &Analysis, code: &str) -> Vec<(Option<String>, Severity, serde_json::Value)> {
    let of_code = analysis.insights.iter().filter(|insight| insight.code == code);
    of_code.map(|insight| (insight.column.clone(), insight.severity, insight.measured.clone())).collect()
}

fn measured(analysis: &Analysis, code: &str) -> serde_json::Value {
    let mut found = found(analysis, code);
    assert_eq!(found.len(), 1, "{code}: {:?}", analysis.insights);
    found.remove(0).2
}

#[test]
fn interactions_are_few_below_a_thousand_different_ones() {
    // Equal records count once, wherever they are.
    let lines = |n: u64| (0..n).map(|k| format!("u{},i,view,{k}", k % 100));
    let enough = clicks(lines(1_000));
    assert!(found(&analyse(&[&enough]), "FEW_INTERACTIONS").is_empty());
    let few = clicks(lines(999)).with(Origin::Put, lines(999));
    let analysis = analyse(&[&few]);
    let measured = measured(&analysis, "FEW_INTERACTIONS");
    assert_eq!(measured, serde_json::json!({"interactions": 999, "needed": 1000, "missing": 1}));
    assert_eq!(analysis.datasets[0].rows, 999);
}

#[test]
fn users_are_few_below_25_with_two_interactions() {
    let with = |users: u64| {
        let twice = (0..2 * users).map(move |k| format!("u{},i,view,{k}", k / 2));
        clicks(twice.chain((0..50).map(|k| format!("once{k},i,view,{k}"))))
    };
    assert!(found(&analyse(&[&with(25)]), "FEW_USERS_WITH_TWO_INTERACTIONS").is_empty());
    let measured = measured(&analyse(&[&with(24)]), "FEW_USERS_WITH_TWO_INTERACTIONS");
    assert_eq!((&measured["users"], &measured["missing"]), (&24.into(), &1.into()));
}

#[test]
fn event_types_are_many_above_ten_and_are_not_split() {
    let with = |kinds: u64| clicks((0..100).map(move |k| format!("u,i,kind|{},{k}", k % kinds)));
    let analysis = analyse(&[&with(10)]);
    assert!(found(&analysis, "MANY_EVENT_TYPES").is_empty());
    assert_eq!(analysis.datasets[0].columns[2].distinct, 10);
    let many = found(&analyse(&[&with(11)]), "MANY_EVENT_TYPES");
    assert_eq!(many[0].0.as_deref(), Some("EVENT_TYPE"));
    assert_eq!(many[0].2["eventTypes"], 11);
}

#[test]
fn one_timestamp_everywhere_is_told_of_two_records_or_more() {
    let with = |n: u64, last: u64| {
        clicks((0..n).map(|k| format!("u{k},i,view,7")).chain([format!("last,i,view,{last}")]))
    };
    let same = measured(&analyse(&[&with(5, 7)]), "SAME_TIMESTAMP");
    assert_eq!(same, serde_json::json!({"records": 6, "timestamp": 7}));
    assert!(found(&analyse(&[&with(5, 8)]), "SAME_TIMESTAMP").is_empty());
    assert!(found(&analyse(&[&with(0, 7)]), "SAME_TIMESTAMP").is_empty());
    assert!(found(&analyse(&[&clicks([])]), "SAME_TIMESTAMP").is_empty());
}

#[test]
fn ids_of_one_dataset_are_looked_up_in_the_other() {
    // Items i0 … i9, of which i0 … i5 have interactions; i90 and i91 are in no dataset.
    let items = goods((0..10).map(|k| format!("i{k},1.5,a,b")));
    let known = (0..60).map(|k| format!("u{k},i{},view,{k}", k % 6));
    let interactions = clicks(known.chain((0..20).map(|k| format!("v{k},i{},view,{k}", 90 + k % 2))));
    let users = Stage::of(DatasetType::Users, "USER_ID:string AGE:int")
        .with(Origin::Put, (0..80).map(|k| format!("u{k},3")));
    let analysis = analyse(&[&interactions, &items, &users]);
    let (_, severity, without) = found(&analysis, "ITEMS_WITHOUT_INTERACTIONS").remove(0);
    assert_eq!((severity, &without["withoutInteractions"]), (Severity::Warning, &4.into()));
    assert_eq!((&without["items"], &without["share"]), (&10.into(), &0.4.into()));
    let without = measured(&analysis, "USERS_WITHOUT_INTERACTIONS");
    assert_eq!((&without["withoutInteractions"], &without["share"]), (&20.into(), &0.25.into()));
    let (column, severity, unknown) = found(&analysis, "INTERACTIONS_OF_UNKNOWN_ITEMS").remove(0);
    assert_eq!((column.as_deref(), severity), (Some("ITEM_ID"), Severity::Info));
    assert_eq!((&unknown["ofUnknown"], &unknown["unknownIds"]), (&20.into(), &2.into()));
    let unknown = measured(&analysis, "INTERACTIONS_OF_UNKNOWN_USERS");
    assert_eq!((&unknown["ofUnknown"], &unknown["unknownIds"]), (&20.into(), &20.into()));
    // Where there is no such dataset nobody can tell.
    let alone = analyse(&[&interactions]);
    assert!(alone.insights.iter().all(|insight| !insight.code.contains("UNKNOWN")));
    let alone = analyse(&[&items]);
    assert!(alone.insights.iter().all(|insight| !insight.code.contains("WITHOUT")));
}

#[test]
fn action_interactions_are_looked_up_in_actions_and_users() {
    let actions = Stage::of(DatasetType::Actions, "ACTION_ID:string VALUE:long?")
        .with(Origin::Bulk, ["a1,5", "a2,", "a3,7", "a4,7"].map(str::to_owned));
    let fields = "USER_ID:string ACTION_ID:string EVENT_TYPE:string TIMESTAMP:long";
    let taken = Stage::of(DatasetType::ActionInteractions, fields)
        .with(Origin::Put, ["u1,a1,Taken,1", "u2,a1,Taken,1", "u2,a9,Taken,1"].map(str::to_owned));
    let users = Stage::of(DatasetType::Users, "USER_ID:string AGE:int")
        .with(Origin::Put, ["u1,3", "u3,3"].map(str::to_owned));
    let analysis = analyse(&[&actions, &taken, &users]);
    assert_eq!(measured(&analysis, "ACTIONS_WITHOUT_INTERACTIONS")["withoutInteractions"], 3);
    assert_eq!(measured(&analysis, "INTERACTIONS_OF_UNKNOWN_ACTIONS")["ofUnknown"], 1);
    assert_eq!(measured(&analysis, "INTERACTIONS_OF_UNKNOWN_USERS")["ofUnknown"], 2);
    assert_eq!(measured(&analysis, "SAME_TIMESTAMP")["records"], 3);
    assert!(found(&analysis, "FEW_INTERACTIONS").is_empty());
    assert!(found(&analysis, "USERS_WITHOUT_INTERACTIONS").is_empty());
}

#[test]
fn columns_are_incomplete_below_70_percent_and_texts_below_85() {
    let with = |prices: u64, texts: u64| {
        goods((0..100).map(move |k| {
            let (price, text) = (if k < prices { "2.5" } else { "" }, if k < texts { "t" } else { "" });
            format!("i{k},{price},g,{text}")
        }))
    };
    let analysis = analyse(&[&with(70, 85)]);
    assert!(found(&analysis, "INCOMPLETE_COLUMN").is_empty());
    assert!(found(&analysis, "INCOMPLETE_TEXT").is_empty());
    let (_, severity, missing) = found(&analysis, "ROWS_WITH_MISSING_VALUES").remove(0);
    assert_eq!((severity, &missing["withMissingValues"]), (Severity::Warning, &30.into()));
    let analysis = analyse(&[&with(69, 84)]);
    let (column, _, incomplete) = found(&analysis, "INCOMPLETE_COLUMN").remove(0);
    assert_eq!((column.as_deref(), &incomplete["complete"]), (Some("PRICE"), &0.69.into()));
    assert_eq!(measured(&analysis, "INCOMPLETE_TEXT")["complete"], 0.84);
    // A text that is hardly there breaks both rules.
    let analysis = analyse(&[&with(100, 60)]);
    assert_eq!(measured(&analysis, "INCOMPLETE_COLUMN")["complete"], 0.6);
    assert_eq!(measured(&analysis, "INCOMPLETE_TEXT")["complete"], 0.6);
    let complete = analyse(&[&with(100, 100)]);
    assert!(complete.insights.is_empty(), "{:?}", complete.insights);
    assert!(analyse(&[&goods([])]).insights.is_empty());
}

#[test]
fn outliers_are_numbers_far_beyond_the_quartiles_and_times_are_none() {
    // 0 … 99: quartiles 24.75 and 74.25 and so fences -123.75 and 222.75.
    let fields = "ITEM_ID:string CREATION_TIMESTAMP:long? PRICE:float";
    let lines = (0..100).map(|k| format!("i{k},{k},{k}.0"));
    let with = |price: &str| {
        let more = format!("more,1000000,{price}");
        Stage::of(DatasetType::Items, fields).with(Origin::Bulk, lines.clone().chain([more]))
    };
    let far = found(&analyse(&[&with("-200.5")]), "OUTLIERS");
    assert_eq!(far.len(), 1);
    assert_eq!(far[0].0.as_deref(), Some("PRICE"));
    assert_eq!((&far[0].2["outliers"], &far[0].2["min"]), (&1.into(), &(-200.5).into()));
    assert!(found(&analyse(&[&with("200.0")]), "OUTLIERS").is_empty());
}

#[test]
fn categories_are_many_above_thirty_and_are_split() {
    let with = |most: u64| goods((0..200).map(move |k| format!("i{k},1.0,a|c{},t", k % most)));
    let analysis = analyse(&[&with(29)]);
    assert!(found(&analysis, "MANY_CATEGORIES").is_empty());
    let column = &analysis.datasets[0].columns[2];
    assert_eq!(column.distinct, 30);
    assert_eq!(column.top.as_ref().unwrap()[0], Top { value: "a".into(), count: 200 });
    let (column, _, many) = found(&analyse(&[&with(30)]), "MANY_CATEGORIES").remove(0);
    assert_eq!((column.as_deref(), &many["categories"]), (Some("GENRES"), &31.into()));
}

#[test]
fn the_newest_record_of_an_item_counts() {
    let lines = |price: &'static str| (0..50).map(move |k| format!("i{k},{price},old,t"));
    let puts = (40..60).map(|k| format!("i{k},9.0,new,"));
    let stage = goods(lines("1.0")).with(Origin::Bulk, lines("2.0")).with(Origin::Put, puts);
    let analysis = analyse(&[&stage]);
    let items = &analysis.datasets[0];
    assert_eq!((items.rows, items.columns[0].distinct), (60, 60));
    assert_eq!((&items.columns[1].min, &items.columns[1].max), (&2.0.into(), &9.0.into()));
    let top = items.columns[2].top.as_ref().unwrap();
    assert_eq!(top[0], Top { value: "old".into(), count: 40 });
    assert_eq!(items.columns[3].complete, 40.0 / 60.0);
}

#[test]
fn what_does_not_fit_is_estimated_and_said_to_be() {
    let items = goods((0..20_000).map(|k| format!("i{k},{k}.0,c{k},t")));
    let interactions = clicks((0..40_000).map(|k| format!("u{},i{},view,{k}", k / 2, k % 16_000)));
    let analysis = analyse_within(1 << 16, &[&interactions, &items]);
    let (clicks, goods) = (&analysis.datasets[0], &analysis.datasets[1]);
    // Records are ordered by these ids, so that they are counted without any memory.
    assert_eq!(clicks.distinct_users, Some(Count { count: 20_000, is_estimate: false }));
    assert_eq!(goods.distinct_items, Some(Count { count: 20_000, is_estimate: false }));
    let items = clicks.distinct_items.unwrap();
    assert!(items.is_estimate && items.count.abs_diff(16_000) < 2_000, "{items:?}");
    let price = &goods.columns[1];
    assert_eq!(price.estimates, ["distinct", "quartiles"]);
    assert!(price.distinct <= 20_000 && price.distinct > 18_000, "{}", price.distinct);
    assert_eq!((&price.min, &price.max), (&0.0.into(), &19_999.0.into()));
    assert!((price.quartiles.unwrap()[1] - 10_000.0).abs() < 1_500.0, "{:?}", price.quartiles);
    assert_eq!(goods.columns[2].estimates, ["distinct", "top"]);
    let without = measured(&analysis, "ITEMS_WITHOUT_INTERACTIONS");
    assert_eq!(without["isEstimate"], true);
    assert!((without["share"].as_f64().unwrap() - 0.2).abs() < 0.05, "{without}");
}

#[test]
fn several_threads_come_to_what_one_does() {
    // Long texts that nothing makes shorter end row groups early, and so make several ranges.
    let letters =
        |k: u64| fold(k).to_le_bytes().map(|byte| char::from(b'0' + byte % 75).to_string()).concat();
    let text = |k: u64| (0..5_000).map(|n| letters(k * 5_000 + n)).collect::<String>().replace('\\', "");
    let items = goods((0..1_500).map(|k| format!("i{k},{k}.0,g{}|g{},{}", k % 7, k % 5, text(k))))
        .with(Origin::Put, (1_000..1_600).map(|k| format!("i{k},-{k}.0,,put")));
    assert!(items.source.runs[0].run.borders().len() > 1);
    let interactions = clicks((0..3_000).map(|k| format!("u{},i{k},view,{k}", k / 2)));
    let memory_bytes = 16 << 20;
    let alone = serde_json::to_value(analyse_by(1, memory_bytes, &[&interactions, &items])).unwrap();
    assert_eq!(
        (&alone["datasets"][1]["rows"], &alone["datasets"][0]["rows"]),
        (&1_600.into(), &3_000.into())
    );
    let together = analyse_by(3, memory_bytes, &[&interactions, &items]);
    assert_eq!(serde_json::to_value(together).unwrap(), alone);
}

#[test]
fn memory_is_shared_among_datasets_and_columns() {
    for (memory_bytes, columns) in [(128 << 20, 10), (32 << 20, 100)] {
        let (threads, datasets) = (2, 3);
        let limits = Limits::within(memory_bytes, threads, datasets, columns);
        let ids = 2 * (datasets + threads) * limits.ids * SLOT_BYTES;
        let column =
            limits.distinct * SLOT_BYTES + limits.categories_bytes.max(limits.numbers * NUMBER_BYTES);
        assert!(ids + (threads + 1) * columns * column <= memory_bytes, "{limits:?}");
    }
    assert!(Limits::within(0, 64, 5, 500).distinct >= 500);
}

#[test]
fn work_that_is_asked_to_stop_stops() {
    let stage = clicks((0..10).map(|k| format!("u{k},i,view,{k}")));
    let progress = Progress::default();
    progress.stop();
    let mut analyst = Analyst::new(1 << 20, 2, 1);
    let arn = Realm { region: "r".into(), account: "1".into() }.dataset_group("g");
    let stopped = analyst.read(arn, &stage.layout, &stage.source, &progress).unwrap_err();
    assert_eq!(stopped.kind, model::ErrorKind::Unavailable);
}

/// One interaction in small numbers, so that equals and nulls are frequent.
type Click = (u8, u8, u8, Option<u8>);

fn click_line(&(user, item, kind, value): &Click) -> String {
    let value = value.map_or(String::new(), |value| value.to_string());
    format!("u{user},i{item},k{kind},{},{value}", i64::from(kind) - 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn figures_are_those_of_a_naive_count(
        runs in prop::collection::vec(
            prop::collection::vec((0..12_u8, 0..9_u8, 0..3_u8, prop::option::of(0..40_u8)), 0..60), 1..4),
    ) {
        let fields = "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long EVENT_VALUE:float?";
        let stage = runs.iter().fold(Stage::of(DatasetType::Interactions, fields), |stage, run| {
            stage.with(Origin::Put, run.iter().map(click_line))
        });
        let analysis = analyse(&[&stage]);
        let dataset = &analysis.datasets[0];
        let all: BTreeSet<Click> = runs.iter().flatten().copied().collect();
        let distinct = |of: fn(&Click) -> u8| all.iter().map(of).collect::<BTreeSet<_>>().len() as u64;
        prop_assert_eq!(dataset.rows, all.len() as u64);
        prop_assert_eq!(dataset.columns[0].distinct, distinct(|c| c.0));
        prop_assert_eq!(dataset.columns[1].distinct, distinct(|c| c.1));
        prop_assert_eq!(dataset.columns[3].distinct, distinct(|c| c.2));
        let missing = all.iter().filter(|c| c.3.is_none()).count() as u64;
        prop_assert_eq!(dataset.rows_with_missing_values, missing);
        let mut users: BTreeMap<u8, u64> = BTreeMap::new();
        all.iter().for_each(|c| *users.entry(c.0).or_default() += 1);
        let twice = users.values().filter(|n| **n >= 2).count() as u64;
        prop_assert_eq!(&measured(&analysis, "FEW_USERS_WITH_TWO_INTERACTIONS")["users"], twice);
        let mut values: Vec<f64> = all.iter().filter_map(|c| c.3).map(f64::from).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.get(values.len() / 2).map(|above| {
            let below = values[(values.len() - 1) / 2];
            below + (above - below) / 2.0
        });
        prop_assert_eq!(dataset.columns[4].quartiles.map(|q| q[1]), middle);
        let mut kinds: BTreeMap<u8, u64> = BTreeMap::new();
        all.iter().for_each(|c| *kinds.entry(c.2).or_default() += 1);
        for top in dataset.columns[2].top.iter().flatten() {
            prop_assert_eq!(Some(&top.count), kinds.get(&top.value[1..].parse::<u8>().unwrap()));
        }
    }
}
