//! Ranges of addresses, as policies and settings name them.

use std::net::IpAddr;

/// A range of addresses, such as `203.0.113.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// Reads an address or a range; `None` when it is neither.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (prefix_bits <= most).then_some(Network { address, prefix_bits })
    }

    /// Whether an address lies in it; no range of one family holds an address of the other.
    pub fn holds(self, address: IpAddr) -> bool {
        let shared = |equal_bits: u32| equal_bits >= self.prefix_bits;
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => shared((a.to_bits() ^ b.to_bits()).leading_zeros()),
            (IpAddr::V6(a), IpAddr::V6(b)) => shared((a.to_bits() ^ b.to_bits()).leading_zeros()),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_begins_as_it_does() {
        for (range, address, is_in) in [
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("2001:db8::/32", "2001:db8:1::7", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let network = Network::parse(range).unwrap();
            assert_eq!(network.holds(address.parse().unwrap()), is_in, "{range} {address}");
        }
    }

    #[test]
    fn what_is_no_range_is_told_apart() {
        for text in [
            "",
            "10.0.0/8",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "::1/129",
            "lade.example",
            "10.0.0.1/",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
