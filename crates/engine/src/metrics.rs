//! Metrics of the interactions that an import reads: counts and sums by source and quarter of an hour.

mod items;
mod report;
mod sum;

use std::collections::HashMap;

use model::Layout;
use model::error::{Error, Result};
use model::metric::Expression;
use model::record::Value;
use model::schema::Storage;

pub use items::ItemNumbers;
use sum::Sum;

/// The source of an event that names none. Source: "Recording real-time events".
const UNDEFINED_SOURCE: &str = "SOURCE_NAME_UNDEFINED";
/// Source: "Viewing and downloading reports".
const BUCKET_S: i64 = 15 * 60;

/// A metric to be watched.
#[derive(Clone, Debug)]
pub struct Metric {
    pub name: String,
    pub event_type: String,
    pub expression: Expression,
}

/// Takes the interactions of an import one by one, and adds up what is to be reported of them.
///
/// Equal records are counted as often as they come.
pub struct Aggregator {
    metrics: Vec<Watched>,
    columns: Columns,
    since_s: i64,
    items: ItemNumbers,
    /// Each source once; cells name it by its place.
    sources: Vec<String>,
    places: HashMap<String, usize>,
    cells: HashMap<Cell, Sum>,
    memory_bytes: usize,
    used_bytes: usize,
}

struct Watched {
    metric: Metric,
    term: Term,
}

/// What one event adds to a metric.
#[derive(Clone, Copy)]
enum Term {
    One,
    /// The value of a column of the event, by its position.
    Value(usize),
    /// The value of a column of its item, by its position among the columns that were read of items.
    OfItem(usize),
}

/// Where an interaction holds what every metric asks for.
struct Columns {
    event_type: usize,
    timestamp: usize,
    item: usize,
    source: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Cell {
    metric: usize,
    source: usize,
    /// When its quarter of an hour began, in seconds after the epoch.
    bucket_s: i64,
}

/// What a cell takes while it is filled: a map holds up to twice what is in it, and doubles when it grows.
const CELL_BYTES: usize = 4 * (size_of::<Cell>() + size_of::<Sum>());
/// What a row of the report takes beside its names.
const ROW_BYTES: usize = 64;

impl Aggregator {
    /// Watches interactions of `layout` from the second `since_s` on; `items` holds the columns that metrics sum of
    /// items, in the order of `item_columns`.
    ///
    /// The memory of `items` comes on top of `memory_bytes`.
    ///
    /// # Errors
    /// `Invalid` when the layout has not got a column that is needed.
    pub fn new(
        layout: &Layout,
        metrics: Vec<Metric>,
        items: ItemNumbers,
        since_s: i64,
        memory_bytes: usize,
    ) -> Result<Aggregator> {
        let item_columns = item_columns(&metrics);
        let columns = Columns {
            event_type: position(layout, "EVENT_TYPE")?,
            timestamp: position(layout, "TIMESTAMP")?,
            item: position(layout, "ITEM_ID")?,
            source: layout.position("EVENT_ATTRIBUTION_SOURCE"),
        };
        let watch = |metric: Metric| {
            let of_items = |column: &String| item_columns.iter().position(|c| c == column);
            let term = match (&metric.expression, metric.expression.item_column()) {
                (Expression::SampleCount, _) => Term::One,
                (Expression::Sum { column, .. }, None) => Term::Value(number_position(layout, column)?),
                (Expression::Sum { column, .. }, Some(_)) => {
                    Term::OfItem(of_items(column).expect("the columns were collected from these metrics"))
                }
            };
            Ok(Watched { metric, term })
        };
        Ok(Aggregator {
            metrics: metrics.into_iter().map(watch).collect::<Result<_>>()?,
            columns,
            since_s,
            items,
            sources: Vec::new(),
            places: HashMap::new(),
            cells: HashMap::new(),
            memory_bytes,
            used_bytes: 0,
        })
    }

    /// Takes the next interaction: a value a column, in the layout's order.
    ///
    /// # Errors
    /// `Invalid` when the report gets larger than the memory it may have.
    pub fn push(&mut self, values: &[Value<'_>]) -> Result<()> {
        let columns = &self.columns;
        let (Value::String(event_type), Value::Long(at_s)) =
            (&values[columns.event_type], &values[columns.timestamp])
        else {
            return Ok(());
        };
        if *at_s < self.since_s || !self.metrics.iter().any(|m| m.metric.event_type == *event_type) {
            return Ok(());
        }
        let source = match columns.source.map(|n| &values[n]) {
            Some(Value::String(source)) if !source.is_empty() => source,
            _ => UNDEFINED_SOURCE,
        };
        let (source, bucket_s) = (self.place(source), at_s - at_s.rem_euclid(BUCKET_S));
        for metric in 0..self.metrics.len() {
            let watched = &self.metrics[metric];
            if watched.metric.event_type == *event_type {
                let number = self.number(watched.term, values);
                self.add(Cell { metric, source, bucket_s }, number)?;
            }
        }
        Ok(())
    }

    /// The report as CSV: a row for each metric, source and quarter of an hour that had events, in this order.
    ///
    /// # Errors
    /// `Invalid` when a sum is larger than any number of 64 bits.
    pub fn report(&self) -> Result<Vec<u8>> {
        let mut cells: Vec<(&Cell, &Sum)> = self.cells.iter().collect();
        cells.sort_unstable_by(|(a, _), (b, _)| {
            let key = |cell: &Cell| (cell.metric, &self.sources[cell.source], cell.bucket_s);
            key(a).cmp(&key(b))
        });
        let mut csv = report::begin();
        for (cell, sum) in cells {
            let metric = &self.metrics[cell.metric].metric;
            report::write_row(metric, sum.total(), &self.sources[cell.source], cell.bucket_s, &mut csv)?;
        }
        Ok(csv)
    }

    // Null adds nothing.
    fn number(&self, term: Term, values: &[Value<'_>]) -> f64 {
        match term {
            Term::One => 1.0,
            Term::Value(n) => number_of(&values[n]).unwrap_or(0.0),
            Term::OfItem(n) => match &values[self.columns.item] {
                Value::String(id) => self.items.get(n, id).unwrap_or(0.0),
                _ => 0.0,
            },
        }
    }

    /// How many sources the report tells apart.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    fn place(&mut self, source: &str) -> usize {
        if let Some(&place) = self.places.get(source) {
            return place;
        }
        let place = self.sources.len();
        self.used_bytes += 2 * source.len() + 4 * size_of::<String>();
        self.sources.push(source.to_owned());
        self.places.insert(source.to_owned(), place);
        place
    }

    fn add(&mut self, cell: Cell, number: f64) -> Result<()> {
        let cells = self.cells.len();
        self.cells.entry(cell).or_default().add(number);
        if self.cells.len() > cells {
            let metric = &self.metrics[cell.metric].metric;
            let names = metric.name.len() + metric.event_type.len() + self.sources[cell.source].len();
            // The report is written into a buffer that doubles, too.
            self.used_bytes += CELL_BYTES + 2 * (ROW_BYTES + names);
        }
        if self.used_bytes <= self.memory_bytes {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "The report of the metric attribution has too many rows: {} of {} sources need more memory than a job has.",
            self.cells.len(),
            self.sources.len()
        )))
    }
}

/// The columns of items that the metrics sum, each once.
pub fn item_columns(metrics: &[Metric]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for column in metrics.iter().filter_map(|metric| metric.expression.item_column()) {
        if !columns.iter().any(|c| c == column) {
            columns.push(column.to_owned());
        }
    }
    columns
}

fn position(layout: &Layout, column: &str) -> Result<usize> {
    let missing = || {
        let dataset = layout.dataset_type.record_name();
        Error::invalid(format!("The schema of the {dataset} dataset has no column {column} for its metrics."))
    };
    layout.position(column).ok_or_else(missing)
}

/// The position of a column that can be summed.
fn number_position(layout: &Layout, column: &str) -> Result<usize> {
    let n = position(layout, column)?;
    match layout.columns[n].kind().storage() {
        Storage::Long | Storage::Double => Ok(n),
        _ => Err(Error::invalid(format!("The column {column} holds no numbers, so no metric can sum it."))),
    }
}

fn number_of(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Long(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
