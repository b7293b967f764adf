//! Whether a certificate vouches for itself: its issuer is its subject.
//!
//! Source: RFC 5280, section 4.1, in the encoding of X.690.

const SEQUENCE: u8 = 0x30;
/// The version, which stands first where it stands at all.
const VERSION: u8 = 0xa0;

/// False also for what is no certificate.
pub fn is_own(certificate: &[u8]) -> bool {
    names(certificate).is_some_and(|(issuer, subject)| issuer == subject)
}

fn names(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (SEQUENCE, whole, _) = element(certificate)? else { return None };
    let (SEQUENCE, signed, _) = element(whole)? else { return None };
    let (first, _, behind) = element(signed)?;
    let rest = if first == VERSION { element(behind)?.2 } else { behind };
    let (_, _, rest) = element(rest)?;
    let (_, issuer, rest) = element(rest)?;
    let (_, _, rest) = element(rest)?;
    let (_, subject, _) = element(rest)?;
    Some((issuer, subject))
}

/// Tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(content: &[u8]) -> Vec<u8> {
        [&[SEQUENCE, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// The beginning of a certificate.
    fn certificate(version: &[u8], issuer: &str, subject: &str) -> Vec<u8> {
        let name = |text: &str| sequence(text.as_bytes());
        let signed =
            [version, &[2, 1, 7], &sequence(b"alg"), &name(issuer), &sequence(b"time"), &name(subject)]
                .concat();
        sequence(&sequence(&signed))
    }

    #[test]
    fn the_issuer_is_told_from_the_subject() {
        for version in [&[][..], &[VERSION, 3, 2, 1, 2]] {
            assert!(is_own(&certificate(version, "me", "me")));
            assert!(!is_own(&certificate(version, "an authority", "me")));
        }
    }

    #[test]
    fn what_is_cut_off_vouches_for_nobody() {
        let whole = certificate(&[], "me", "me");
        for end in 0..whole.len() {
            assert!(!is_own(&whole[..end]), "{end}");
        }
        assert!(!is_own(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]));
    }
}
