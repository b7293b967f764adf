//! Opens the pieces of a range in the bucket that they lie in.

use std::sync::Arc;

use access::Bucket;
use access::bucket::ObjectHead;
use csv::Dialect;
use engine::Progress;
use engine::import::{Begin, Borders, Rest, SourceFile, SourcePiece};
use model::error::Result;
use tokio::runtime::Handle;

use super::{Piece, Range};
use crate::range_reader::{RangeReader, Wanted};

/// The header is asked for with so much of its file.
const HEADER_BYTES: u64 = 64 << 10;

pub struct Opener<'a> {
    pub bucket: Bucket,
    pub range: &'a Range,
    pub progress: &'a Arc<Progress>,
    pub handle: Handle,
}

impl Opener<'_> {
    /// Opens one that begins where `begin` says; `None`: wherever its first record does.
    pub fn open<'b>(
        &self,
        piece: &Piece,
        begin: Option<u64>,
        borders: &'b Borders,
    ) -> Result<SourcePiece<'b>> {
        let is_start = piece.begin == 0;
        let header_end = if is_start { piece.end } else { HEADER_BYTES };
        let (head, header) = self.reader(piece, 0, header_end)?;
        let rest = match begin {
            _ if is_start => None,
            Some(byte) => Some(self.rest(piece, Begin::Record(byte), byte)?),
            None => Some(self.rest(piece, Begin::Behind(piece.begin), piece.begin - 1)?),
        };
        let is_rfc4180 =
            self.range.is_exported || head.metadata.get("personalize-csv").is_some_and(|v| v == "rfc4180");
        let dialect = if is_rfc4180 { Dialect::Rfc4180 } else { Dialect::Aws };
        let file = SourceFile { key: piece.key.clone(), dialect, bytes: Box::new(header) };
        Ok(SourcePiece { file, rest, end: Some(piece.end), borders })
    }

    fn rest(&self, piece: &Piece, begin: Begin, from: u64) -> Result<Rest> {
        let (_, bytes) = self.reader(piece, from, piece.end)?;
        Ok(Rest { begin, bytes: Box::new(bytes) })
    }

    fn reader(&self, piece: &Piece, begin: u64, end: u64) -> Result<(ObjectHead, RangeReader)> {
        let Piece { key, etag, size, .. } = piece;
        let wanted = Wanted { key, etag, begin, end, size: *size };
        RangeReader::open(&self.bucket, &wanted, self.progress, &self.handle)
    }
}
