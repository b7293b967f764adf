//! One column of a row group as Parquet pages, compressed one by one.

use std::io::Write;

use bytes::Bytes;
use model::error::{Context, Error, Result};
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::pack;
use super::sums::PageSum;

/// A page ends at this many rows.
pub const PAGE_ROWS: usize = 32 * 1024;
/// Long texts end a page early, so that readers stay small.
pub const PAGE_BYTES: usize = 256 << 10;

const LEVEL: i32 = 1;

/// Compresses pages; one for all columns of a row group.
pub struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    /// Where a page's values are encoded.
    pub values: Vec<u8>,
}

impl Packer {
    pub fn new() -> Result<Packer> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).unavailable(writing)?;
        Ok(Packer { compressor, values: Vec::new() })
    }

    // Appends the values to `page`, compressed where that makes them smaller; says whether it did.
    fn pack(&mut self, page: &mut Vec<u8>) -> Result<bool> {
        let from = page.len();
        page.resize(from + zstd::zstd_safe::compress_bound(self.values.len()), 0);
        let size =
            self.compressor.compress_to_buffer(&self.values, &mut page[from..]).unavailable(writing)?;
        page.truncate(from + size.min(self.values.len()));
        let is_smaller = size < self.values.len();
        if !is_smaller {
            page[from..].copy_from_slice(&self.values);
        }
        Ok(is_smaller)
    }
}

/// Which of the rows of a page have a value.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub count: usize,
    /// Empty where all have one.
    pub present: &'a [bool],
}

/// A finished column of a row group.
pub struct Chunk {
    pub bytes: Bytes,
    pub close: ColumnCloseResult,
    pub sums: Vec<PageSum>,
}

/// Writes the pages of one column.
pub struct ChunkWriter {
    column: ColumnDescPtr,
    pages: TrackedWrite<Vec<u8>>,
    rows: usize,
    size_bytes: usize,
    uncompressed_bytes: usize,
    dictionary_bytes: Option<usize>,
    /// Of the data pages, which are all alike.
    encoding: Encoding,
    page_count: i32,
    sums: Vec<PageSum>,
}

impl ChunkWriter {
    pub fn new(column: &ColumnDescPtr, encoding: Encoding) -> ChunkWriter {
        ChunkWriter {
            column: column.clone(),
            pages: TrackedWrite::new(Vec::new()),
            rows: 0,
            size_bytes: 0,
            uncompressed_bytes: 0,
            dictionary_bytes: None,
            encoding,
            page_count: 0,
            sums: Vec::new(),
        }
    }

    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Writes the dictionary, the first of the pages: `count` plain values in `packer`.
    pub fn dictionary(&mut self, packer: &mut Packer, count: usize) -> Result<()> {
        let mut page = Vec::new();
        if !packer.pack(&mut page)? && !packer.values.is_empty() {
            // Only data pages can be left as they are.
            page = zstd::bulk::compress(&packer.values, LEVEL).unavailable(writing)?;
        }
        let buf = page.into();
        let num_values = count_of(count)?;
        let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
        self.write(page, packer.values.len())?;
        self.dictionary_bytes = Some(self.size_bytes);
        Ok(())
    }

    /// Writes a page of the values in `packer`.
    pub fn page(&mut self, packer: &mut Packer, rows: Rows<'_>) -> Result<()> {
        let mut page = Vec::new();
        self.levels(rows, &mut page);
        let levels_bytes = page.len();
        let is_compressed = packer.pack(&mut page)?;
        let nulls = rows.present.iter().filter(|&&is_present| !is_present).count();
        let data = Page::DataPageV2 {
            buf: page.into(),
            num_values: count_of(rows.count)?,
            encoding: self.encoding,
            num_nulls: count_of(nulls)?,
            num_rows: count_of(rows.count)?,
            def_levels_byte_len: count_of(levels_bytes)?,
            rep_levels_byte_len: 0,
            is_compressed,
            statistics: None,
        };
        self.rows += rows.count;
        self.page_count += 1;
        self.write(data, levels_bytes + packer.values.len())
    }

    fn levels(&self, rows: Rows<'_>, out: &mut Vec<u8>) {
        if self.column.max_def_level() == 0 {
            return;
        }
        if rows.present.is_empty() {
            pack::run(true, rows.count, 1, out);
        } else {
            pack::hybrid(rows.present, 1, out);
        }
    }

    fn write(&mut self, page: Page, uncompressed_bytes: usize) -> Result<()> {
        let page = CompressedPage::new(page, uncompressed_bytes);
        let from = self.pages.bytes_written();
        let written = SerializedPageWriter::new(&mut self.pages).write_page(page).unavailable(writing)?;
        self.size_bytes += written.compressed_size;
        self.uncompressed_bytes += written.uncompressed_size;
        self.pages.flush().unavailable(writing)?;
        let sum = PageSum::of(&self.pages.inner()[from..]);
        self.sums.push(sum.ok_or_else(|| Error::internal("a page is larger than a page can be"))?);
        Ok(())
    }

    pub fn finish(self) -> Result<Chunk> {
        let (metadata, sums) = (self.metadata()?, self.sums);
        let mut bytes = self.pages.into_inner().unavailable(writing)?;
        bytes.shrink_to_fit();
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(Chunk { bytes: bytes.into(), close, sums })
    }

    fn metadata(&self) -> Result<ColumnChunkMetaData> {
        let level = ZstdLevel::try_new(LEVEL).unavailable(writing)?;
        let pages = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let mut kinds = vec![pages(PageType::DATA_PAGE_V2, self.encoding, self.page_count)];
        let mut encodings = vec![Encoding::RLE, self.encoding];
        if self.dictionary_bytes.is_some() {
            kinds.insert(0, pages(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
            encodings.push(Encoding::PLAIN);
        }
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(Compression::ZSTD(level))
            .set_encodings(encodings)
            .set_page_encoding_stats(kinds)
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(self.size_bytes as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_dictionary_page_offset(self.dictionary_bytes.map(|_| 0))
            .set_data_page_offset(self.dictionary_bytes.unwrap_or(0) as i64);
        metadata.build().unavailable(writing)
    }
}

fn count_of(count: usize) -> Result<u32> {
    u32::try_from(count).map_err(|_| Error::internal("a page has more values than a page can have"))
}

fn writing() -> String {
    "write a row group".to_owned()
}
