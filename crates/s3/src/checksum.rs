//! S3's checksums: their names, their text form, and how those of parts become that of the whole.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;

use crate::digest::Digests;

/// The five algorithms that S3 clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    /// The name as in `x-amz-checksum-algorithm`; read without case.
    pub fn parse(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(name))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries a value, such as `x-amz-checksum-crc32`.
    pub fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The length of a raw value in bytes.
    pub fn size(self) -> usize {
        match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }

    /// The CRC behind the name; hashes have none, and cannot be combined.
    pub fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }

    /// How a multipart upload's checksum is made unless the client says.
    pub fn kind_by_default(self) -> Kind {
        if self == Algorithm::Crc64Nvme { Kind::FullObject } else { Kind::Composite }
    }

    /// Source: "Checking object integrity", supported full object and composite checksums.
    pub fn supports(self, kind: Kind) -> bool {
        match kind {
            Kind::FullObject => self.crc().is_some(),
            Kind::Composite => self != Algorithm::Crc64Nvme,
        }
    }

    /// Reads a value's text form; `None` when it is no Base64 or has the wrong length.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        STANDARD.decode(text).ok().filter(|raw| raw.len() == self.size())
    }
}

/// Whether a value is that of all bytes, or that of the parts' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    FullObject,
    Composite,
}

impl Kind {
    pub fn parse(name: &str) -> Option<Kind> {
        match name {
            "FULL_OBJECT" => Some(Kind::FullObject),
            "COMPOSITE" => Some(Kind::Composite),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::FullObject => "FULL_OBJECT",
            Kind::Composite => "COMPOSITE",
        }
    }
}

/// An object's checksum as it is stored and given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    pub algorithm: Algorithm,
    pub kind: Kind,
    /// Base64; a composite one ends in `-<number of parts>`.
    pub value: String,
}

impl Checksum {
    pub fn full(algorithm: Algorithm, raw: &[u8]) -> Checksum {
        Checksum { algorithm, kind: Kind::FullObject, value: STANDARD.encode(raw) }
    }

    /// The checksum of a whole from its parts' raw values and lengths; `None` when the kind does not exist.
    pub fn of_parts(algorithm: Algorithm, kind: Kind, parts: &[(Vec<u8>, u64)]) -> Option<Checksum> {
        match kind {
            Kind::FullObject => Some(Checksum::full(algorithm, &combine(algorithm, parts)?)),
            Kind::Composite => Some(composite(algorithm, parts)),
        }
    }
}

// The CRC of joined bytes follows from the CRCs of both halves and the second one's length.
fn combine(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> Option<Vec<u8>> {
    let crc = algorithm.crc()?;
    let whole = parts.iter().map(|(raw, size)| (number(raw), *size)).reduce(|(a, a_size), (b, b_size)| {
        (crc_fast::checksum_combine(crc, a, b, b_size), a_size + b_size)
    })?;
    Some(whole.0.to_be_bytes()[8 - algorithm.size()..].to_vec())
}

fn number(raw: &[u8]) -> u64 {
    raw.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

fn composite(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> Checksum {
    let mut digests = Digests::new(&[algorithm]);
    for (raw, _) in parts {
        digests.update(raw);
    }
    let raw = digests.finish().sum(algorithm).unwrap_or_default();
    let value = format!("{}-{}", STANDARD.encode(raw), parts.len());
    Checksum { algorithm, kind: Kind::Composite, value }
}

/// Writes a checksum into the five fields that every s3s output has for it.
macro_rules! show_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                $crate::checksum::Algorithm::Crc32 => $output.checksum_crc32 = value,
                $crate::checksum::Algorithm::Crc32c => $output.checksum_crc32c = value,
                $crate::checksum::Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                $crate::checksum::Algorithm::Sha1 => $output.checksum_sha1 = value,
                $crate::checksum::Algorithm::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}
pub(crate) use show_checksum;

/// The values that an s3s input states, as (algorithm, text).
macro_rules! stated_checksums {
    ($input:expr) => {
        [
            ($crate::checksum::Algorithm::Crc32, $input.checksum_crc32.clone()),
            ($crate::checksum::Algorithm::Crc32c, $input.checksum_crc32c.clone()),
            ($crate::checksum::Algorithm::Crc64Nvme, $input.checksum_crc64nvme.clone()),
            ($crate::checksum::Algorithm::Sha1, $input.checksum_sha1.clone()),
            ($crate::checksum::Algorithm::Sha256, $input.checksum_sha256.clone()),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)))
        .collect::<Vec<_>>()
    };
}
pub(crate) use stated_checksums;

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut digests = Digests::new(&[algorithm]);
        digests.update(bytes);
        digests.finish().sum(algorithm).unwrap()
    }

    #[test]
    fn combined_crcs_are_the_crc_of_the_whole() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n * 31 % 251) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts: Vec<_> =
                bytes.chunks(33_333).map(|part| (raw(algorithm, part), part.len() as u64)).collect();
            let whole = Checksum::of_parts(algorithm, Kind::FullObject, &parts).unwrap();
            assert_eq!(whole, Checksum::full(algorithm, &raw(algorithm, &bytes)), "{algorithm:?}");
        }
    }

    #[test]
    fn crcs_have_their_published_check_values() {
        for (algorithm, value) in [
            (Algorithm::Crc32, 0xcbf4_3926u64),
            (Algorithm::Crc32c, 0xe306_9283),
            (Algorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            assert_eq!(number(&raw(algorithm, b"123456789")), value, "{algorithm:?}");
        }
    }

    #[test]
    fn a_composite_checksum_counts_its_parts() {
        let parts = vec![(raw(Algorithm::Sha256, b"a"), 1), (raw(Algorithm::Sha256, b"b"), 1)];
        let whole = Checksum::of_parts(Algorithm::Sha256, Kind::Composite, &parts).unwrap();
        assert!(whole.value.ends_with("-2"), "{}", whole.value);
        assert_eq!(Checksum::of_parts(Algorithm::Sha256, Kind::FullObject, &parts), None);
    }
}
