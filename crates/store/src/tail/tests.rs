use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{DatasetType, ErrorKind, Schema};

use super::*;
use crate::log::{Batch, LogSettings};
use crate::merge::Batches;
use crate::{Merge, Objects, Rows, RowsBuilder, RunReader, RunWriter, Sorted};

fn schema(fields: &str) -> Schema {
    let text = format!(
        r#"{{"type":"record","name":"Items","fields":[{{"name":"ITEM_ID","type":"string"}},{fields}]}}"#
    );
    Schema::parse(&text, None).unwrap()
}

fn first() -> Layout {
    let fields = r#"{"name":"PRICE","type":"float"},{"name":"NAME","type":"string"}"#;
    Layout::new(DatasetType::Items, &schema(fields))
}

/// The other way round, with a column in between.
fn second() -> Layout {
    let fields = r#"{"name":"NAME","type":"string"},{"name":"COLOR","type":["string","null"]},
        {"name":"PRICE","type":"float"}"#;
    first().replaced_by(&schema(fields)).unwrap()
}

fn old(price: f64, name: &str) -> Vec<Value<'_>> {
    vec![Value::String("a".into()), Value::Double(price), Value::String(name.into())]
}

fn new<'a>(price: f64, name: &'a str, color: Option<&'a str>) -> Vec<Value<'a>> {
    let color = color.map_or(Value::Null, |text| Value::String(text.into()));
    vec![Value::String("a".into()), Value::String(name.into()), color, Value::Double(price)]
}

fn encoded(layout: &Layout, values: &[Value<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Codec::new(layout).encode(values, &mut bytes);
    bytes
}

struct Stage {
    folder: tempfile::TempDir,
    log: Log,
}

impl Stage {
    fn set() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let next = AtomicU64::new(1);
        let sequencer = Arc::new(move |count| Ok(next.fetch_add(count, Ordering::SeqCst)));
        let settings = LogSettings { segment_bytes: 1 << 20, ..LogSettings::default() };
        let (log, _) = Log::open(&folder.path().join("log"), settings, sequencer).unwrap();
        Stage { folder, log }
    }

    async fn put(&self, layout: &Layout, values: &[Value<'_>]) {
        let mut batch = Batch::new(7, layout.schema_version);
        batch.push(&encoded(layout, values)).unwrap();
        self.log.append(batch).await.unwrap();
    }

    fn read(&self, layout: &Layout) -> Result<(Tail, Sorter)> {
        let mut sorter = Sorter::new(self.folder.path().join("scratch"), 1 << 20);
        let tail =
            read_tail(&self.log, 7, 0, self.log.durable(), layout, &seal::DataKeys::default(), &mut sorter)?;
        Ok((tail, sorter))
    }

    fn objects(&self) -> Objects {
        Objects::open(&self.folder.path().join("runs")).unwrap()
    }

    /// A run of these records, in the layout's own order.
    fn write_run(&self, layout: &Layout, object: &str, records: &[Vec<Value<'_>>]) {
        let mut records: Vec<Vec<u8>> = records.iter().map(|values| encoded(layout, values)).collect();
        records.sort();
        let mut run = RunWriter::create(&self.objects(), object, layout).unwrap();
        records.iter().for_each(|record| run.push_record(record, Arrivals::once(100)).unwrap());
        run.finish().unwrap();
    }
}

#[tokio::test]
async fn records_of_two_versions_merge_where_only_nothing_tells_them_apart() {
    let stage = Stage::set();
    stage.put(&first(), &old(1.5, "z")).await;
    stage.put(&second(), &new(1.5, "z", None)).await;
    stage.put(&second(), &new(1.5, "z", Some("red"))).await;
    // Checked before the schema was replaced, written after.
    stage.put(&first(), &old(2.5, "y")).await;
    stage.write_run(&first(), "old", &[old(1.5, "z"), old(2.5, "y"), old(3.5, "x")]);
    stage.write_run(
        &second(),
        "new",
        &[new(1.5, "z", None), new(2.5, "y", None), new(3.5, "x", Some("blue"))],
    );

    let layout = second();
    let (tail, sorter) = stage.read(&layout).unwrap();
    assert_eq!((tail.records, tail.csv_bytes), (4, 4 * (1 + 1 + 8 + 4) + 3));
    let open = |object| Box::new(RunReader::open(&stage.objects(), object, &layout, 0).unwrap());
    let runs: Vec<Batches> = vec![into_batches(sorter.finish().unwrap(), &layout), open("old"), open("new")];
    let mut merge = Merge::new(&layout, runs).unwrap();
    let mut seen = Vec::new();
    while let Some(merged) = merge.next_record().unwrap() {
        let values: Vec<Value<'_>> = merged.rows.columns.iter().map(|c| c.get(merged.row)).collect();
        seen.push((encoded(&layout, &values), merged.arrivals.copies));
    }
    let mut expected = [
        (new(1.5, "z", None), 4),
        (new(1.5, "z", Some("red")), 1),
        (new(2.5, "y", None), 3),
        (new(3.5, "x", None), 1),
        (new(3.5, "x", Some("blue")), 1),
    ]
    .map(|(values, copies)| (encoded(&layout, &values), copies));
    expected.sort();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn nothing_of_a_later_version_is_read_under_an_older_layout() {
    let stage = Stage::set();
    let record = new(1.5, "z", Some("red"));
    stage.put(&second(), &record).await;
    stage.write_run(&second(), "new", &[record]);
    assert_eq!(stage.read(&first()).err().unwrap().kind, ErrorKind::Unavailable);
    let refused = RunReader::open(&stage.objects(), "new", &first(), 0).err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
}

/// Sorted records as batches, to be merged with runs.
fn into_batches(mut sorted: Sorted, layout: &Layout) -> Batches {
    let mut builder = RowsBuilder::new(layout);
    Box::new(std::iter::from_fn(move || next_batch(&mut sorted, &mut builder).transpose()))
}

fn next_batch(sorted: &mut Sorted, builder: &mut RowsBuilder) -> Result<Option<Arc<Rows>>> {
    while !builder.is_full() {
        let Some((record, arrivals)) = sorted.next_record()? else { break };
        builder.push_record(record, arrivals)?;
    }
    Ok((!builder.is_empty()).then(|| Arc::new(builder.take())))
}
