//! What the parts of an upload add up to: order, sizes, ETag and checksum of the object.

use std::collections::{HashMap, HashSet};

use md5::{Digest, Md5};
use s3s::{S3ErrorCode, S3Result};

use crate::checksum::Checksum;
use crate::error::{damaged, refuse};
use crate::index::object::{Draft, Piece};
use crate::index::upload::{Part, Upload};

/// A part as the client names it at the end.
#[derive(Clone, Debug)]
pub struct Named {
    pub number: i64,
    pub etag: String,
    /// The value by the upload's algorithm, where the client sends it.
    pub checksum: Option<String>,
}

/// What the client says the object is.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub parts: Vec<Named>,
    /// The object's checksum by the upload's algorithm, where the client sends it.
    pub checksum: Option<String>,
    pub size: Option<u64>,
}

/// Source: "Amazon S3 multipart upload limits".
pub const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
pub const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
pub const PARTS_MAX: i64 = 10_000;

/// The object that the named parts make.
///
/// # Errors
/// `MalformedXML` without parts, `InvalidPartOrder`, `InvalidPart` for one that is missing or another,
/// `EntityTooSmall` for any but the last below 5 MiB, `BadDigest` and `InvalidRequest` when the object is not the
/// claimed one.
pub fn assemble(upload: &Upload, parts: &[Part], claim: &Claim, now_ms: i64) -> S3Result<Draft> {
    let named = claim.parts.as_slice();
    if named.is_empty() {
        return Err(refuse(S3ErrorCode::MalformedXML, "The request names no parts."));
    }
    if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        let text = "The list of parts was not in ascending order.";
        return Err(refuse(S3ErrorCode::InvalidPartOrder, text));
    }
    let chosen = choose(parts, named)?;
    check_sizes(&chosen)?;
    let etag =
        etag_of_parts(chosen.iter().map(|part| part.etag.as_str())).ok_or_else(|| damaged("a part"))?;
    let draft = Draft {
        key: upload.key.clone(),
        size: chosen.iter().map(|part| part.size).sum(),
        etag,
        modified_ms: now_ms,
        headers: upload.headers.clone(),
        checksum: checksum(upload, &chosen)?,
        upload: Some(upload.id.clone()),
        encryption: upload.encryption.clone(),
        pieces: chosen.into_iter().map(piece).collect(),
    };
    check_claim(&draft, claim)?;
    Ok(draft)
}

/// The MD5 of the parts' ETags and their number; `None` when one is not of 16 bytes.
pub fn etag_of_parts<'e>(etags: impl Iterator<Item = &'e str>) -> Option<String> {
    let mut md5 = Md5::new();
    let mut count = 0;
    for etag in etags {
        md5.update(hex::decode(etag).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", hex::encode(md5.finalize())))
}

fn choose<'p>(parts: &'p [Part], named: &[Named]) -> S3Result<Vec<&'p Part>> {
    let known: HashMap<i64, &Part> = parts.iter().map(|part| (part.number, part)).collect();
    named
        .iter()
        .map(|name| {
            let part = known.get(&name.number).copied().filter(|part| part.etag == name.etag);
            let part = part.filter(|part| name.checksum.as_ref().is_none_or(|sum| *sum == part.checksum));
            part.ok_or_else(|| {
                let text = format!(
                    "Part {} was not uploaded, or its ETag or checksum differs from the one that was.",
                    name.number
                );
                refuse(S3ErrorCode::InvalidPart, text)
            })
        })
        .collect()
}

fn check_sizes(chosen: &[&Part]) -> S3Result<()> {
    let last = chosen.len() - 1;
    match chosen[..last].iter().find(|part| part.size < PART_BYTES_MIN) {
        None => Ok(()),
        Some(part) => {
            let text = format!(
                "Part {} has {} bytes; all but the last must have {PART_BYTES_MIN} at least.",
                part.number, part.size
            );
            Err(refuse(S3ErrorCode::EntityTooSmall, text))
        }
    }
}

fn check_claim(draft: &Draft, claim: &Claim) -> S3Result<()> {
    if claim.size.is_some_and(|size| size != draft.size) {
        let text =
            format!("The parts have {} bytes, another number than x-amz-mp-object-size states.", draft.size);
        return Err(refuse(S3ErrorCode::InvalidRequest, text));
    }
    let found = draft.checksum.value.as_str();
    // A composite value may come without the number of parts.
    let fits =
        |claimed: &String| claimed == found || found.split_once('-').is_some_and(|(raw, _)| raw == claimed);
    if claim.checksum.as_ref().is_some_and(|claimed| !fits(claimed)) {
        let name = draft.checksum.algorithm.as_str();
        let text = format!("The {name} you specified did not match the calculated checksum.");
        return Err(refuse(S3ErrorCode::BadDigest, text));
    }
    Ok(())
}

fn checksum(upload: &Upload, chosen: &[&Part]) -> S3Result<Checksum> {
    let decode = |part: &&Part| Some((upload.algorithm.decode(&part.checksum)?, part.size));
    let values: Option<Vec<_>> = chosen.iter().map(decode).collect();
    let whole = values.and_then(|values| Checksum::of_parts(upload.algorithm, upload.kind, &values));
    whole.ok_or_else(|| damaged("a part's checksum"))
}

fn piece(part: &Part) -> Piece {
    Piece { number: part.number, blob: part.blob.clone(), size: part.size, checksum: part.checksum.clone() }
}

/// The blobs of parts that the object does not use.
pub fn left_over(parts: Vec<Part>, draft: &Draft) -> Vec<String> {
    let used: HashSet<&str> = draft.pieces.iter().map(|piece| piece.blob.as_str()).collect();
    parts.into_iter().map(|part| part.blob).filter(|blob| !used.contains(blob.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Algorithm, Kind};

    fn upload() -> Upload {
        Upload {
            id: "u".into(),
            bucket: "b".into(),
            key: "k".into(),
            created_ms: 0,
            creator: String::new(),
            headers: Default::default(),
            algorithm: Algorithm::Crc64Nvme,
            kind: Kind::FullObject,
            asked: false,
            encryption: None,
        }
    }

    fn part(number: i64, size: u64) -> Part {
        let etag = format!("{number:032x}");
        let checksum = Checksum::full(Algorithm::Crc64Nvme, &[0; 8]).value;
        Part { number, blob: format!("b{number}"), size, etag, modified_ms: 0, checksum }
    }

    fn claim(numbers: &[i64]) -> Claim {
        let name = |&number: &i64| Named { number, etag: format!("{number:032x}"), checksum: None };
        Claim { parts: numbers.iter().map(name).collect(), checksum: None, size: None }
    }

    fn code(result: S3Result<Draft>) -> String {
        result.err().unwrap().code().as_str().to_owned()
    }

    #[test]
    fn parts_become_an_object_with_an_etag_that_counts_them() {
        let parts = [part(1, PART_BYTES_MIN), part(2, 9), part(3, 1)];
        let draft = assemble(&upload(), &parts, &claim(&[1, 3]), 0).unwrap();
        assert_eq!(draft.size, PART_BYTES_MIN + 1);
        assert!(draft.etag.ends_with("-2"));
        assert_eq!(left_over(parts.to_vec(), &draft), ["b2"]);
    }

    #[test]
    fn broken_lists_of_parts_are_refused_by_name() {
        let parts = [part(1, 4), part(2, 4)];
        assert_eq!(code(assemble(&upload(), &parts, &claim(&[]), 0)), "MalformedXML");
        assert_eq!(code(assemble(&upload(), &parts, &claim(&[2, 1]), 0)), "InvalidPartOrder");
        assert_eq!(code(assemble(&upload(), &parts, &claim(&[1, 1]), 0)), "InvalidPartOrder");
        assert_eq!(code(assemble(&upload(), &parts, &claim(&[3]), 0)), "InvalidPart");
        assert_eq!(code(assemble(&upload(), &parts, &claim(&[1, 2]), 0)), "EntityTooSmall");
        let other = Claim { size: Some(5), ..claim(&[1]) };
        assert_eq!(code(assemble(&upload(), &parts, &other, 0)), "InvalidRequest");
        let other = Claim { checksum: Some("AAAAAAAAAAE=".into()), ..claim(&[1]) };
        assert_eq!(code(assemble(&upload(), &parts, &other, 0)), "BadDigest");
    }
}
