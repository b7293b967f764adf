//! Hexadecimal digits of hashes, which every signature is made of.

/// Two lower-case digits a byte.
pub(super) fn digits(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
    String::from_utf8(text).expect("digits are ASCII")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_has_its_two_digits() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(super::digits(&all), hex::encode(&all));
        assert_eq!(super::digits(&[]), "");
    }
}
