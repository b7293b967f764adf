//! The checksums that an upload may carry in its trailing header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A checksum while its bytes go by.
pub(super) enum Checksum {
    Crc32(crc_fast::Digest),
    Crc32c(crc_fast::Digest),
    Crc64Nvme(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// The checksum whose value stands in the header `name`; `None` when there is no such one.
    pub fn of_header(name: &str) -> Option<Checksum> {
        let crc = crc_fast::Digest::new;
        match name {
            "x-amz-checksum-crc32" => Some(Checksum::Crc32(crc(CrcAlgorithm::Crc32IsoHdlc))),
            "x-amz-checksum-crc32c" => Some(Checksum::Crc32c(crc(CrcAlgorithm::Crc32Iscsi))),
            "x-amz-checksum-crc64nvme" => Some(Checksum::Crc64Nvme(crc(CrcAlgorithm::Crc64Nvme))),
            "x-amz-checksum-sha1" => Some(Checksum::Sha1(Sha1::new())),
            "x-amz-checksum-sha256" => Some(Checksum::Sha256(Sha256::new())),
            _ => None,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Checksum::Crc32(crc) | Checksum::Crc32c(crc) | Checksum::Crc64Nvme(crc) => crc.update(bytes),
            Checksum::Sha1(sha) => sha.update(bytes),
            Checksum::Sha256(sha) => sha.update(bytes),
        }
    }

    /// The value as it stands in the header: big-endian bytes in base 64.
    pub fn text(&self) -> String {
        match self {
            Checksum::Crc32(crc) | Checksum::Crc32c(crc) => {
                STANDARD.encode(&crc.finalize().to_be_bytes()[4..])
            }
            Checksum::Crc64Nvme(crc) => STANDARD.encode(crc.finalize().to_be_bytes()),
            Checksum::Sha1(sha) => STANDARD.encode(sha.clone().finalize()),
            Checksum::Sha256(sha) => STANDARD.encode(sha.clone().finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The check values of the catalogues of CRCs, and the digests of the SHA standard's "abc".
    #[test]
    fn checksums_have_their_published_values() {
        for (name, text, value) in [
            ("crc32", "123456789", "y/Q5Jg=="),
            ("crc32c", "123456789", "4waSgw=="),
            ("crc64nvme", "123456789", "rosUhgp5mIg="),
            ("sha1", "abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            ("sha256", "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
        ] {
            let mut sum = Checksum::of_header(&format!("x-amz-checksum-{name}")).unwrap();
            sum.update(text.as_bytes());
            assert_eq!(sum.text(), value, "{name}");
        }
        assert!(Checksum::of_header("x-amz-checksum-md5").is_none());
    }
}
