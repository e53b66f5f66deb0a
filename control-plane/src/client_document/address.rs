//! Which addresses a document may be fetched from: those of other people's machines on the Internet. Everything
//! else is, or may lead to, something that only we can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 network.
struct Net4([u8; 4], u32);
/// An IPv6 network.
struct Net6([u16; 8], u32);

/// Not globally reachable (IANA's special-purpose registry), or another network's doorway.
const CLOSED_4: [Net4; 20] = [
    Net4([0, 0, 0, 0], 8),        // this network
    Net4([10, 0, 0, 0], 8),       // private
    Net4([100, 64, 0, 0], 10),    // carrier-grade NAT; Alibaba's metadata at 100.100.100.200
    Net4([127, 0, 0, 0], 8),      // loopback
    Net4([168, 63, 129, 16], 32), // Azure's metadata and DNS
    Net4([169, 254, 0, 0], 16),   // link-local; the metadata of most clouds at 169.254.169.254
    Net4([172, 16, 0, 0], 12),    // private
    Net4([192, 0, 0, 0], 24),     // protocol assignments; Oracle's metadata at 192.0.0.192
    Net4([192, 0, 2, 0], 24),     // documentation
    Net4([192, 31, 196, 0], 24),  // AS112
    Net4([192, 52, 193, 0], 24),  // AMT relays
    Net4([192, 88, 99, 0], 24),   // 6to4 relays
    Net4([192, 168, 0, 0], 16),   // private
    Net4([192, 175, 48, 0], 24),  // AS112
    Net4([198, 18, 0, 0], 15),    // benchmarking
    Net4([198, 51, 100, 0], 24),  // documentation
    Net4([203, 0, 113, 0], 24),   // documentation
    Net4([224, 0, 0, 0], 4),      // multicast
    Net4([240, 0, 0, 0], 4),      // reserved
    Net4([255, 255, 255, 255], 32),
];

/// Global unicast. Loopback, mapped and compatible IPv4 addresses, NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), unique
/// local, link-local and multicast addresses lie outside.
const OPEN_6: Net6 = Net6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What of it is not reachable, or carries an IPv4 address inside.
const CLOSED_6: [Net6; 5] = [
    Net6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarking, ORCHID
    Net6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    Net6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    Net6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    Net6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// Whether a machine of somebody else's has this address, on the public Internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !CLOSED_4.iter().any(|net| net.has(address)),
        IpAddr::V6(address) => {
            OPEN_6.has(address) && !CLOSED_6.iter().any(|net| net.has(address)) && !is_isatap(address)
        }
    }
}

/// Whether the interface identifier is ISATAP's, which leads to the IPv4 address in it (RFC 5214 section 6.1).
const fn is_isatap(address: Ipv6Addr) -> bool {
    let [_, _, _, _, high, low, _, _] = address.segments();
    low == 0x5efe && matches!(high, 0 | 0x0200)
}

// === impl Net4 ===

impl Net4 {
    fn has(&self, address: Ipv4Addr) -> bool {
        let Self(base, bits) = self;
        let mask = u32::MAX << (32 - bits);
        u32::from(address) & mask == u32::from(Ipv4Addr::from(*base))
    }
}

// === impl Net6 ===

impl Net6 {
    fn has(&self, address: Ipv6Addr) -> bool {
        let Self(base, bits) = self;
        let mask = u128::MAX << (128 - bits);
        u128::from(address) & mask == u128::from(Ipv6Addr::from(*base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn every_closed_range_is_closed_up_to_its_edges() {
        // First and last of the range, and the public neighbours where there are any.
        for (below, first, last, above) in [
            (None, "0.0.0.0", "0.255.255.255", Some("1.0.0.0")),
            (Some("9.255.255.255"), "10.0.0.0", "10.255.255.255", Some("11.0.0.0")),
            (Some("100.63.255.255"), "100.64.0.0", "100.127.255.255", Some("100.128.0.0")),
            (Some("126.255.255.255"), "127.0.0.0", "127.255.255.255", Some("128.0.0.0")),
            (Some("168.63.129.15"), "168.63.129.16", "168.63.129.16", Some("168.63.129.17")),
            (Some("169.253.255.255"), "169.254.0.0", "169.254.255.255", Some("169.255.0.0")),
            (Some("172.15.255.255"), "172.16.0.0", "172.31.255.255", Some("172.32.0.0")),
            (Some("191.255.255.255"), "192.0.0.0", "192.0.0.255", Some("192.0.1.0")),
            (Some("192.0.1.255"), "192.0.2.0", "192.0.2.255", Some("192.0.3.0")),
            (Some("192.31.195.255"), "192.31.196.0", "192.31.196.255", Some("192.31.197.0")),
            (Some("192.52.192.255"), "192.52.193.0", "192.52.193.255", Some("192.52.194.0")),
            (Some("192.88.98.255"), "192.88.99.0", "192.88.99.255", Some("192.88.100.0")),
            (Some("192.167.255.255"), "192.168.0.0", "192.168.255.255", Some("192.169.0.0")),
            (Some("192.175.47.255"), "192.175.48.0", "192.175.48.255", Some("192.175.49.0")),
            (Some("198.17.255.255"), "198.18.0.0", "198.19.255.255", Some("198.20.0.0")),
            (Some("198.51.99.255"), "198.51.100.0", "198.51.100.255", Some("198.51.101.0")),
            (Some("203.0.112.255"), "203.0.113.0", "203.0.113.255", Some("203.0.114.0")),
            (Some("223.255.255.255"), "224.0.0.0", "255.255.255.255", None),
            // Unspecified, loopback, IPv4-compatible and -mapped, both NAT64 prefixes, and all up to 2000::/3.
            (None, "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
            (None, "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2001:200::")),
            (
                Some("2001:db7:ffff::1"),
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("2001:db9::"),
            ),
            (Some("2001:ffff::1"), "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2003::")),
            (
                Some("2620:4f:7fff::1"),
                "2620:4f:8000::",
                "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
                Some("2620:4f:8001::"),
            ),
            (Some("3ffe:ffff::1"), "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3fff:1000::")),
            (Some("3fff:ffff::1"), "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ] {
            assert!(!public(first) && !public(last), "{first} to {last}");
            assert!(below.into_iter().chain(above).all(public), "around {first} to {last}");
        }
    }

    #[test]
    fn what_leads_somewhere_else_is_closed() {
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::a00:1",
            "2002:a00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2606:4700::5efe:a00:1",
            "2606:4700::200:5efe:a00:1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_open() {
        for address in
            ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]
        {
            assert!(public(address), "{address}");
        }
    }
}
