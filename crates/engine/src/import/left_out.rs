//! Rows that were left out of an import, as they stood in their files: kept so that they can be mended and imported.

use std::io::Write;
use std::sync::Arc;

use csv::Dialect;
use model::error::{Context, Result};
use store::Objects;
use store::objects::{Object, ObjectWriter};

use super::chunk::OpenFile;

/// An object with a header and the rows that were left out below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectsFile {
    pub object: String,
    pub dialect: Dialect,
    pub rows: u64,
    pub bytes: u64,
}

/// The rows of all chunks, in whatever order they are read, and where each chunk's are.
pub struct LeftOut<'a> {
    objects: Option<&'a Objects>,
    name: String,
    gathered: Option<ObjectWriter>,
    bytes: u64,
    pieces: Vec<Piece>,
}

struct Piece {
    chunk: usize,
    file: Arc<OpenFile>,
    rows: u64,
    from: u64,
    bytes: usize,
}

impl<'a> LeftOut<'a> {
    pub fn new(objects: &'a Objects, name: &str) -> LeftOut<'a> {
        LeftOut { objects: Some(objects), name: name.to_owned(), ..LeftOut::none() }
    }

    pub fn none() -> LeftOut<'a> {
        LeftOut { objects: None, name: String::new(), gathered: None, bytes: 0, pieces: Vec::new() }
    }

    /// The import has failed: nobody wants them.
    pub fn forget(&mut self) {
        *self = LeftOut::none();
    }

    pub fn push(&mut self, chunk: usize, file: &Arc<OpenFile>, rows: u64, text: &[u8]) -> Result<()> {
        let Some(objects) = self.objects else { return Ok(()) };
        let gathered = match &mut self.gathered {
            Some(gathered) => gathered,
            None => self.gathered.insert(objects.create(&self.name)?),
        };
        gathered.write_all(text).unavailable(|| "write rows that were left out".to_owned())?;
        self.pieces.push(Piece { chunk, file: file.clone(), rows, from: self.bytes, bytes: text.len() });
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Puts the rows into the order of files and rows, those below equal headers together.
    pub fn finish(mut self) -> Result<Vec<RejectsFile>> {
        let (Some(objects), Some(gathered)) = (self.objects, self.gathered.take()) else { return Ok(vec![]) };
        gathered.finish()?;
        self.pieces.sort_unstable_by_key(|piece| piece.chunk);
        let source = objects.open_object(&self.name)?;
        let mut files: Vec<(Arc<OpenFile>, RejectsFile, ObjectWriter)> = Vec::new();
        for piece in &self.pieces {
            let known = files.iter().position(|(file, ..)| file.reads_as(&piece.file));
            let n = known.unwrap_or(files.len());
            if known.is_none() {
                files.push(begin(objects, &self.name, n, &piece.file)?);
            }
            let (_, told, writer) = &mut files[n];
            copy(&source, piece, writer)?;
            told.rows += piece.rows;
            told.bytes += piece.bytes as u64;
        }
        let ended = files.into_iter().map(|(_, told, writer)| writer.finish().map(|_| told));
        let ended = ended.collect::<Result<_>>()?;
        objects.delete(&self.name)?;
        Ok(ended)
    }
}

fn begin(
    objects: &Objects,
    name: &str,
    n: usize,
    file: &Arc<OpenFile>,
) -> Result<(Arc<OpenFile>, RejectsFile, ObjectWriter)> {
    let object = format!("{name}-{n}.csv");
    let mut writer = objects.create(&object)?;
    writer.write_all(&file.header).unavailable(writing)?;
    let told = RejectsFile { object, dialect: file.dialect, rows: 0, bytes: file.header.len() as u64 };
    Ok((file.clone(), told, writer))
}

fn copy(source: &Object, piece: &Piece, writer: &mut ObjectWriter) -> Result<()> {
    let mut text = vec![0; piece.bytes];
    source.read_exact_at(&mut text, piece.from).unavailable(writing)?;
    writer.write_all(&text).unavailable(writing)
}

fn writing() -> String {
    "write rows that were left out".to_owned()
}
