//! What is in a file: its header and how many records, whatever it is written as.

use std::io::{self, Write};

use csv::Dialect;
use flate2::write::MultiGzDecoder;
use model::export::{Compression, Format};
use parquet::file::metadata::ParquetMetaDataReader;

/// How a file is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    pub format: Format,
    /// Of the whole file.
    pub compression: Compression,
    pub dialect: Dialect,
    pub columns: Vec<String>,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// As a line of CSV; empty where the form has no header.
    pub header: String,
    pub rows: u64,
    /// Whether a record is cut off behind these.
    pub is_cut: bool,
}

/// Reads a file from its first byte to its last; holds little of it.
pub enum Rows {
    Text(Text),
    Gzip(Box<MultiGzDecoder<Text>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Text>>),
    Parquet(Tail),
}

/// Text that is counted.
pub struct Text {
    /// As long as the expected header, with its line end.
    first: Vec<u8>,
    header_bytes: usize,
    form: Form,
    lines: u64,
    /// Bytes seen so far.
    bytes: u64,
    is_quoted: bool,
    /// The place behind a backslash that escapes.
    escaped: Option<u64>,
    last: u8,
}

/// The end of a Parquet file, where it says what it holds.
#[derive(Default)]
pub struct Tail(Vec<u8>);

/// The footer of a file of a terabyte is far smaller.
const TAIL_BYTES: usize = 16 << 20;

impl Form {
    /// The first line of the files, its end included.
    pub fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        if self.format != Format::Jsonl {
            csv::write::write_header(self.columns.iter().map(String::as_str), &mut header);
        }
        header
    }

    /// What the names of data files end with.
    pub fn is_data(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        [".csv", ".jsonl", ".parquet"].iter().any(|suffix| name.ends_with(suffix))
    }
}

impl Rows {
    pub fn new(form: &Form) -> io::Result<Rows> {
        let text = Text {
            first: Vec::new(),
            header_bytes: form.header().len(),
            form: form.clone(),
            lines: 0,
            bytes: 0,
            is_quoted: false,
            escaped: None,
            last: b'\n',
        };
        Ok(match (form.format, form.compression) {
            (Format::Parquet, _) => Rows::Parquet(Tail::default()),
            (_, Compression::None) => Rows::Text(text),
            (_, Compression::Gzip) => Rows::Gzip(Box::new(MultiGzDecoder::new(text))),
            (_, Compression::Zstd) => Rows::Zstd(Box::new(zstd::stream::write::Decoder::new(text)?)),
        })
    }

    /// # Errors
    /// When what came is not compressed as it should be.
    pub fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Rows::Text(text) => text.write_all(piece),
            Rows::Gzip(decoder) => decoder.write_all(piece),
            Rows::Zstd(decoder) => decoder.write_all(piece),
            Rows::Parquet(tail) => tail.write_all(piece),
        }
    }

    /// # Errors
    /// As `push`, and when the end is missing.
    pub fn end(self) -> io::Result<Found> {
        match self {
            Rows::Text(text) => Ok(text.end()),
            Rows::Gzip(decoder) => decoder.finish().map(Text::end),
            Rows::Zstd(mut decoder) => {
                decoder.flush()?;
                Ok(decoder.into_inner().end())
            }
            Rows::Parquet(tail) => tail.end(),
        }
    }
}

impl Text {
    // A record of CSV ends with a line end that is not within quotes.
    fn count(&mut self, piece: &[u8]) {
        for at in memchr::memchr3_iter(b'"', b'\n', b'\\', piece) {
            let place = self.bytes + at as u64;
            if self.escaped.take() == Some(place) {
                continue;
            }
            match piece[at] {
                b'"' if self.form.format == Format::Csv => self.is_quoted = !self.is_quoted,
                b'\n' => self.lines += u64::from(!self.is_quoted),
                b'\\' if self.is_quoted && self.form.dialect == Dialect::Aws => {
                    self.escaped = Some(place + 1)
                }
                _ => {}
            }
        }
        self.bytes += piece.len() as u64;
    }

    fn end(self) -> Found {
        let is_cut = self.is_quoted || self.last != b'\n';
        let headers = u64::from(self.header_bytes > 0);
        Found {
            header: String::from_utf8_lossy(&self.first).trim_end_matches('\n').to_owned(),
            rows: self.lines.saturating_sub(headers),
            is_cut,
        }
    }
}

impl Write for Text {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let missing = self.header_bytes - self.first.len();
        self.first.extend_from_slice(&piece[..missing.min(piece.len())]);
        self.count(piece);
        self.last = piece.last().copied().unwrap_or(self.last);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tail {
    fn end(self) -> io::Result<Found> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "no footer of Parquet at its end");
        let (rest, magic) = self.0.split_last_chunk::<4>().ok_or_else(wrong)?;
        let (rest, len) = rest.split_last_chunk::<4>().ok_or_else(wrong)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| wrong())?;
        let from = rest.len().checked_sub(len).filter(|_| magic == b"PAR1").ok_or_else(wrong)?;
        let metadata = ParquetMetaDataReader::decode_metadata(&rest[from..]).map_err(io::Error::other)?;
        let file = metadata.file_metadata();
        let names = file.schema_descr().columns().iter().map(|column| column.name().to_owned());
        let form = Form {
            format: Format::Parquet,
            compression: Compression::None,
            dialect: Dialect::Rfc4180,
            columns: names.collect(),
        };
        let header = String::from_utf8_lossy(&form.header()).trim_end_matches('\n').to_owned();
        Ok(Found { header, rows: u64::try_from(file.num_rows()).unwrap_or(0), is_cut: false })
    }
}

impl Write for Tail {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(piece);
        if self.0.len() > 2 * TAIL_BYTES {
            self.0.drain(..self.0.len() - TAIL_BYTES);
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
