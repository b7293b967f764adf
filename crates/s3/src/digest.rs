//! The hashes of a body, fed while it is written: MD5 for the ETag, and the checksums asked for.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::checksum::Algorithm;

/// Hashes in the making; holds no bytes.
pub struct Digests {
    md5: Md5,
    sums: Vec<(Algorithm, Sum)>,
    size: u64,
}

enum Sum {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

/// The hashes of all bytes that went by.
#[derive(Clone, Debug)]
pub struct Digested {
    pub md5: [u8; 16],
    pub size: u64,
    sums: Vec<(Algorithm, Vec<u8>)>,
}

impl Digests {
    /// An algorithm that is named twice is computed once.
    pub fn new(algorithms: &[Algorithm]) -> Digests {
        let mut sums: Vec<(Algorithm, Sum)> = Vec::with_capacity(algorithms.len());
        for &algorithm in algorithms {
            if sums.iter().all(|(known, _)| *known != algorithm) {
                sums.push((algorithm, Sum::new(algorithm)));
            }
        }
        Digests { md5: Md5::new(), sums, size: 0 }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.size += bytes.len() as u64;
        for (_, sum) in &mut self.sums {
            sum.update(bytes);
        }
    }

    pub fn finish(self) -> Digested {
        let sums = self.sums.into_iter().map(|(algorithm, sum)| (algorithm, sum.finish(algorithm))).collect();
        Digested { md5: self.md5.finalize().into(), size: self.size, sums }
    }
}

impl Digested {
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
