//! From what units encode to what a file stores: as it is, compressed, or as Parquet.
//!
//! The bytes depend on the records alone: what encoders get, they get in pieces of one size, wherever a unit ended.

use std::io::Write;

use flate2::write::GzEncoder;
use model::error::{Error, Result};
use model::export::Compression;

use super::form::FileForm;
use super::parquet::ParquetContent;

#[derive(Default)]
pub enum Content {
    #[default]
    Plain,
    Compressed(Box<Compressed>),
    Parquet(Box<ParquetContent>),
}

pub struct Compressed {
    encoder: Encoder,
    /// What is not yet a whole piece.
    piece: Vec<u8>,
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

const PIECE_BYTES: usize = 256 << 10;
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

impl Content {
    pub fn begin(form: &FileForm) -> Result<Content> {
        let encoder = match (&form.parquet, form.compression) {
            (Some(columns), compression) => {
                let parquet = ParquetContent::begin(columns, compression)?;
                return Ok(Content::Parquet(Box::new(parquet)));
            }
            (None, Compression::None) => return Ok(Content::Plain),
            // Without a name and a time.
            (None, Compression::Gzip) => {
                Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))
            }
            (None, Compression::Zstd) => Encoder::Zstd(zstd_encoder().map_err(failed)?),
        };
        let piece = Vec::with_capacity(PIECE_BYTES);
        Ok(Content::Compressed(Box::new(Compressed { encoder, piece })))
    }

    /// Whether what is pushed is stored as it is.
    pub fn is_plain(&self) -> bool {
        matches!(self, Content::Plain)
    }

    /// Takes bytes; gives what is to be stored, where there is any and it differs.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        let stored = match self {
            Content::Plain => return Ok(None),
            Content::Compressed(compressed) => compressed.push(bytes).map_err(failed)?,
            Content::Parquet(parquet) => parquet.push(bytes)?,
        };
        Ok(Some(stored).filter(|stored| !stored.is_empty()))
    }

    /// What is left to be stored.
    pub fn end(self) -> Result<Vec<u8>> {
        match self {
            Content::Plain => Ok(Vec::new()),
            Content::Compressed(compressed) => compressed.end().map_err(failed),
            Content::Parquet(parquet) => parquet.end(),
        }
    }
}

impl Compressed {
    fn push(&mut self, mut bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        while self.piece.len() + bytes.len() >= PIECE_BYTES {
            let (now, later) = bytes.split_at(PIECE_BYTES - self.piece.len());
            self.piece.extend_from_slice(now);
            self.encoder.write(&self.piece)?;
            self.piece.clear();
            bytes = later;
        }
        self.piece.extend_from_slice(bytes);
        Ok(self.encoder.take())
    }

    fn end(mut self) -> std::io::Result<Vec<u8>> {
        self.encoder.write(&self.piece)?;
        match self.encoder {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Encoder {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<()> {
        match self {
            Encoder::Gzip(encoder) => encoder.write_all(piece),
            Encoder::Zstd(encoder) => encoder.write_all(piece),
        }
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Zstd(encoder) => encoder.get_mut(),
        })
    }
}

fn zstd_encoder() -> std::io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

fn failed(cause: std::io::Error) -> Error {
    Error::internal("compress an export").caused_by(cause)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn stored(compression: Compression, text: &[u8], piece: usize) -> Vec<u8> {
        let mut content = Content::begin(&FileForm { compression, ..FileForm::default() }).unwrap();
        let mut stored = Vec::new();
        for piece in text.chunks(piece) {
            stored.extend(content.push(piece).unwrap().unwrap_or_default());
        }
        stored.extend(content.end().unwrap());
        stored
    }

    #[test]
    fn compressed_bytes_depend_on_the_content_alone_and_are_read_back() {
        let text: Vec<u8> = (0..200_000)
            .flat_map(|n: u64| format!("u{},i{}\n", n % 977, n * n % 7919).into_bytes())
            .collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let whole = stored(compression, &text, text.len());
            assert!(whole.len() < text.len() / 2);
            for piece in [97, 4096, PIECE_BYTES, PIECE_BYTES + 1] {
                assert!(stored(compression, &text, piece) == whole, "{compression:?} {piece}");
            }
            let mut back = Vec::new();
            match compression {
                Compression::Gzip => flate2::read::GzDecoder::new(&whole[..]).read_to_end(&mut back).unwrap(),
                _ => zstd::stream::read::Decoder::new(&whole[..]).unwrap().read_to_end(&mut back).unwrap(),
            };
            assert!(back == text);
        }
    }
}
