//! Where a request comes from, as far as shares are concerned.

use std::net::{IpAddr, Ipv6Addr};

/// Addresses that are likely to be one customer's: an IPv4 address, or an IPv6 /48. All whose address is not known are
/// one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Neighbourhood(Option<IpAddr>);

/// What is left of an IPv6 address: its first 48 bits.
const WITHIN_V6: u128 = !0 << 80;

// === impl Neighbourhood ===

impl Neighbourhood {
    /// That of an address in text form.
    pub fn of(address: Option<&str>) -> Self {
        let address = address.and_then(|text| text.parse::<IpAddr>().ok());
        Self(address.map(|address| match address.to_canonical() {
            four @ IpAddr::V4(_) => four,
            IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & WITHIN_V6).into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customers_addresses_are_one_neighbourhood() {
        for (one, other, same) in [
            ("2001:db8:1:2::3", "2001:db8:1:ffff::4", true),
            ("2001:db8:1:2::3", "2001:db8:2:2::3", false),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("nonsense", "", true),
        ] {
            let is_same = Neighbourhood::of(Some(one)) == Neighbourhood::of(Some(other));
            assert_eq!(is_same, same, "{one} and {other}");
        }
        assert_eq!(Neighbourhood::of(None), Neighbourhood::of(Some("/run/envoy.sock")));
    }
}
