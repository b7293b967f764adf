//! How an export is written: what each record becomes, and what a file is beside its records.

use model::export::{Compression, ExportOptions, Format, OutputColumn, Since};
use model::{IngestionMode, Layout, Origin};
use store::merge::Mark;

use super::encode::Encoder;
use super::filter::{Filter, Newness};
use super::line::LineWriter;
use super::pool::Pool;
use super::sink::{Lines, Out, Output, Sink};

/// What each record becomes.
pub struct Form {
    options: ExportOptions,
    since: Option<Since>,
    filter: Filter,
    encoding: Encoding,
    losers: LineWriter,
    /// Whether it must be known when records came.
    pub needs_arrivals: bool,
}

enum Encoding {
    /// Plain CSV of all columns, or of those at these positions.
    Columns(Option<Vec<usize>>),
    Lines(LineWriter),
}

/// What a file is beside its records.
#[derive(Default)]
pub struct FileForm {
    pub are_losers: bool,
    /// What every file begins with.
    pub header: Vec<u8>,
    pub compression: Compression,
    /// Names and kinds of the columns of a Parquet file.
    pub parquet: Option<Vec<(String, Option<model::schema::Kind>)>>,
    pub has_sha256: bool,
}

impl Form {
    pub fn new(layout: &Layout, mode: IngestionMode, options: &ExportOptions, since: Option<Since>) -> Form {
        let newness =
            since.as_ref().map_or(Newness::Any, |_| Newness::of(mode, layout.dataset_type.is_keyed()));
        let columns = options.columns(layout);
        let has_origins = columns.iter().any(|column| !matches!(column, OutputColumn::Field(_)));
        Form {
            filter: Filter { condition: options.condition.clone(), newness },
            encoding: Encoding::new(options, layout, &columns),
            losers: LineWriter::of_losers(layout),
            needs_arrivals: newness != Newness::Any || has_origins,
            options: options.clone(),
            since,
        }
    }

    /// What is to be known of the records of a run.
    pub fn mark(&self, origin: Origin) -> Mark {
        Mark { origin, since: self.since.as_ref().map_or(0, |since| since.border(origin)) }
    }

    pub fn sink<'o>(&'o self, takes_losers: bool, pool: &'o Pool, out: Out<'o>) -> Sink<'o> {
        let output = match &self.encoding {
            _ if takes_losers => Output::Lines(Lines::new(&self.losers, pool, out)),
            Encoding::Columns(chosen) => Output::Columns(Encoder::of_columns(chosen.as_deref(), pool, out)),
            Encoding::Lines(writer) => Output::Lines(Lines::new(writer, pool, out)),
        };
        Sink::new(output, &self.filter, takes_losers)
    }

    /// The files of the records that are written.
    pub fn file(&self, layout: &Layout) -> FileForm {
        let columns = self.options.columns(layout);
        let names = columns.iter().map(|column| column.name(layout));
        let kind = |column: &OutputColumn| match column {
            OutputColumn::Field(n) => Some(layout.columns[*n].kind()),
            OutputColumn::Sequence => Some(model::schema::Kind::Long),
            OutputColumn::Origin => None,
        };
        let form = FileForm {
            compression: self.options.compression,
            has_sha256: self.options.has_sha256,
            ..FileForm::default()
        };
        match self.options.format {
            Format::Csv => FileForm { header: header(names), ..form },
            Format::Jsonl => form,
            Format::Parquet => {
                let typed = names.map(str::to_owned).zip(columns.iter().map(kind)).collect();
                FileForm { parquet: Some(typed), ..form }
            }
        }
    }

    /// The files of what is left out.
    pub fn losers_file(&self, layout: &Layout) -> FileForm {
        let names = layout.columns.iter().map(|column| column.name()).chain(["_RULE", "_COPIES"]);
        let has_sha256 = self.options.has_sha256;
        FileForm { are_losers: true, header: header(names), has_sha256, ..FileForm::default() }
    }
}

impl Encoding {
    // One column alone may be a blank line, which needs a look at each value.
    fn new(options: &ExportOptions, layout: &Layout, columns: &[OutputColumn]) -> Encoding {
        let field = |column: &OutputColumn| match column {
            OutputColumn::Field(n) => Some(*n),
            _ => None,
        };
        let is_plain = options.format == Format::Csv && options.dialect == Default::default();
        match columns.iter().map(field).collect::<Option<Vec<_>>>() {
            Some(_) if is_plain && options.columns.is_none() => Encoding::Columns(None),
            Some(chosen) if is_plain && chosen.len() > 1 => Encoding::Columns(Some(chosen)),
            _ => Encoding::Lines(LineWriter::new(options, layout)),
        }
    }
}

fn header<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut header = Vec::new();
    csv::write::write_header(names, &mut header);
    header
}
