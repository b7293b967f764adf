//! The hashes of a body, fed while it is written: what its ETag is made of, and the checksums asked for.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::checksum::Algorithm;

/// Hashes in the making; holds no bytes.
pub struct Digests {
    tag: Tag,
    sums: Vec<(Algorithm, Sum)>,
    size: u64,
}

/// What the ETag of a body is.
enum Tag {
    Md5(Md5),
    /// Not its MD5, which costs ten times as much as a CRC, but a hash of this, its size and its checksums.
    Of(String),
}

enum Sum {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

/// The hashes of all bytes that went by.
#[derive(Clone, Debug)]
pub struct Digested {
    /// In hexadecimal digits, the ETag of an object or part that is these bytes.
    pub etag: [u8; 16],
    is_md5: bool,
    pub size: u64,
    sums: Vec<(Algorithm, Vec<u8>)>,
}

impl Digests {
    /// An algorithm that is named twice is computed once; the ETag will be the MD5.
    pub fn new(algorithms: &[Algorithm]) -> Digests {
        Digests::tagged(Tag::Md5(Md5::new()), algorithms)
    }

    /// Without MD5: the ETag will be made of `place`, the size and the checksums, of which there must be one.
    ///
    /// The same bytes in the same place have the same ETag.
    pub fn without_md5(place: String, algorithms: &[Algorithm]) -> Digests {
        Digests::tagged(Tag::Of(place), algorithms)
    }

    fn tagged(tag: Tag, algorithms: &[Algorithm]) -> Digests {
        let mut sums: Vec<(Algorithm, Sum)> = Vec::with_capacity(algorithms.len());
        for &algorithm in algorithms {
            if sums.iter().all(|(known, _)| *known != algorithm) {
                sums.push((algorithm, Sum::new(algorithm)));
            }
        }
        Digests { tag, sums, size: 0 }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        if let Tag::Md5(md5) = &mut self.tag {
            md5.update(bytes);
        }
        self.size += bytes.len() as u64;
        for (_, sum) in &mut self.sums {
            sum.update(bytes);
        }
    }

    pub fn finish(self) -> Digested {
        let finish = |(algorithm, sum): (Algorithm, Sum)| (algorithm, sum.finish(algorithm));
        let sums: Vec<_> = self.sums.into_iter().map(finish).collect();
        let is_md5 = matches!(self.tag, Tag::Md5(_));
        let etag = match self.tag {
            Tag::Md5(md5) => md5.finalize().into(),
            Tag::Of(place) => derived(&place, self.size, &sums),
        };
        Digested { etag, is_md5, size: self.size, sums }
    }
}

fn derived(place: &str, size: u64, sums: &[(Algorithm, Vec<u8>)]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(format!("{place} {size}"));
    for (algorithm, raw) in sums {
        hash.update(algorithm.as_str());
        hash.update(raw);
    }
    let mut etag = [0; 16];
    etag.copy_from_slice(&hash.finalize()[..16]);
    etag
}

impl Digested {
    /// `None` when it was not computed.
    pub fn md5(&self) -> Option<&[u8; 16]> {
        self.is_md5.then_some(&self.etag)
    }

    /// The raw value, big-endian where it is a number; `None` when it was not asked for.
    pub fn sum(&self, algorithm: Algorithm) -> Option<Vec<u8>> {
        self.sums.iter().find(|(known, _)| *known == algorithm).map(|(_, raw)| raw.clone())
    }
}

impl Sum {
    fn new(algorithm: Algorithm) -> Sum {
        match algorithm.crc() {
            Some(crc) => Sum::Crc(crc_fast::Digest::new(crc)),
            None if algorithm == Algorithm::Sha1 => Sum::Sha1(Sha1::new()),
            None => Sum::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Sum::Crc(crc) => crc.update(bytes),
            Sum::Sha1(sha) => sha.update(bytes),
            Sum::Sha256(sha) => sha.update(bytes),
        }
    }

    fn finish(self, algorithm: Algorithm) -> Vec<u8> {
        match self {
            Sum::Crc(crc) => crc.finalize().to_be_bytes()[8 - algorithm.size()..].to_vec(),
            Sum::Sha1(sha) => sha.finalize().to_vec(),
            Sum::Sha256(sha) => sha.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etag(place: &str, bytes: &[u8]) -> [u8; 16] {
        let mut digests = Digests::without_md5(place.to_owned(), &[Algorithm::Crc64Nvme]);
        digests.update(bytes);
        let digested = digests.finish();
        assert_eq!(digested.md5(), None);
        digested.etag
    }

    #[test]
    fn an_etag_that_is_no_md5_tells_bytes_and_places_apart() {
        assert_eq!(etag("upload/1", b"hello"), etag("upload/1", b"hello"));
        for (place, bytes) in [("upload/1", "hellp"), ("upload/1", "hello\0"), ("upload/2", "hello")] {
            assert_ne!(etag("upload/1", b"hello"), etag(place, bytes.as_bytes()), "{place} {bytes}");
        }
    }
}
