use proptest::prelude::*;

use super::*;

fn pools(text: &str) -> Result<AddressPools, InvalidAddresses> {
    text.parse()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn the_defaults_are_what_their_texts_say() {
    assert_eq!(AddressPools::default().to_string(), "10.244.0.0/14:24");
    assert_eq!(AddressRange::of_nodes().to_string(), "10.243.0.0/16");
    assert_eq!(AddressRange::of_services().to_string(), "10.242.0.0/16");
    assert_eq!(AddressPools::default().iter().next().unwrap().blocks(), 1_024);
    for range in [AddressRange::of_nodes(), AddressRange::of_services()] {
        range.apart_from(&AddressPools::default()).unwrap();
    }
    AddressRange::of_nodes().apart_from_range(&AddressRange::of_services()).unwrap();
}

#[test]
fn pools_round_trip_and_bad_ones_say_why() {
    for text in ["10.244.0.0/14:24", "10.0.0.0/16:29, fd00:1::/48:64, 192.168.0.0/24:26"] {
        assert_eq!(pools(text).unwrap().to_string(), text);
    }
    assert_eq!(pools(" 10.0.0.0/16:24,10.1.0.0/16:24 ,").unwrap().iter().len(), 2);
    let many = (0..17).map(|n| format!("10.{n}.0.0/16:24")).collect::<Vec<_>>().join(",");
    for (text, why) in [
        ("", "there are 0 pools"),
        (many.as_str(), "there are 17 pools"),
        ("10.0.0.0/8", "is not of the form <address>/<length>:<length of a block>"),
        ("10.0.0.0/8:x", "is not of the form"),
        ("10.0.0.0/40:41", "is not of the form"),
        ("10.0.0.1/8:24", "10.0.0.1/8 is not the first address of its prefix; write 10.0.0.0/8"),
        ("10.0.0.0/16:16", "have a length from 17 to 29, not 16"),
        ("10.0.0.0/16:30", "have a length from 17 to 29, not 30"),
        ("fd00::/16:64", "have a length from 17 to 40, not 64"),
        ("10.0.0.0/30:31", "has no room"),
        ("127.0.0.0/16:24", "is loopback"),
        ("0.0.0.0/0:24", "means this host"),
        ("169.254.8.0/24:26", "is link-local"),
        ("224.1.0.0/16:24", "is multicast"),
        ("fe80::/64:80", "is link-local"),
        ("10.0.0.0/8:24,10.9.0.0/16:24", "10.0.0.0/8 and 10.9.0.0/16 overlap"),
    ] {
        let error = pools(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn the_lowest_free_block_fills_gaps_of_any_length() {
    let pool: AddressPool = "10.0.0.0/16:24".parse().unwrap();
    let free = |used: &[&str]| pool.lowest_free(used.iter().map(|u| net(u))).unwrap().to_string();
    assert_eq!(free(&[]), "10.0.0.0/24");
    assert_eq!(free(&["10.0.0.0/24", "10.0.2.0/24"]), "10.0.1.0/24");
    // Larger and smaller ones, from when blocks had another length.
    assert_eq!(free(&["10.0.0.0/22", "10.0.4.0/24"]), "10.0.5.0/24");
    assert_eq!(free(&["10.0.0.16/28", "10.0.0.240/28", "10.0.1.8/29"]), "10.0.2.0/24");
    assert_eq!(free(&["9.0.0.0/8", "10.0.0.0/24", "11.0.0.0/8", "fd00::/64"]), "10.0.1.0/24");
    let all: Vec<_> = (0..=255).map(|n| net(&format!("10.0.{n}.0/24"))).collect();
    assert_eq!(pool.lowest_free(all), None);
    let top: AddressPool = "ffff:ff00::/24:26".parse::<AddressPool>().unwrap_or(pool);
    assert_eq!(top, pool, "addresses at the very end are multicast");
}

#[test]
fn single_addresses_are_the_lowest_free_ones() {
    let pool: AddressRange = "10.9.0.0/29".parse().unwrap();
    let free = |used: &[&str]| pool.lowest_free(used.iter().map(|u| u.parse().unwrap()));
    assert_eq!(free(&[]).unwrap().to_string(), "10.9.0.1");
    assert_eq!(free(&["10.8.0.1", "10.9.0.1", "10.9.0.3"]).unwrap().to_string(), "10.9.0.2");
    let all = ["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"];
    assert_eq!(free(&all), None, "the last one is the broadcast address");
    assert_eq!(pool.capacity(), all.len() as u64);
    assert_eq!("fd00:1::/64".parse::<AddressRange>().unwrap().capacity(), u64::MAX);
    let other: AddressRange = "10.9.0.0/24".parse().unwrap();
    let error = pool.apart_from_range(&other).unwrap_err();
    assert_eq!(error, InvalidAddresses::Overlap(net("10.9.0.0/29"), net("10.9.0.0/24")));
    assert!("10.9.0.0/30".parse::<AddressRange>().is_err());
    let error = pool.apart_from(&pools("10.8.0.0/15:24").unwrap()).unwrap_err();
    assert_eq!(error, InvalidAddresses::Overlap(net("10.9.0.0/29"), net("10.8.0.0/15")));
}

proptest! {
    /// Whatever was given out with whatever lengths and taken back: what is given out next overlaps
    /// nothing, is aligned, lies in the pool, and no lower block was free.
    #[test]
    fn blocks_never_overlap(
        steps in proptest::collection::vec((0_u8..4, any::<prop::sample::Index>(), any::<bool>()), 1..80),
        v6 in any::<bool>(),
    ) {
        let (prefix, shortest) = if v6 { ("fd00::/56", 58) } else { ("10.0.0.0/24", 26) };
        let mut used: Vec<IpNet> = Vec::new();
        for (length, which, release) in steps {
            if release && !used.is_empty() {
                used.remove(which.index(used.len()));
                continue;
            }
            let pool: AddressPool = format!("{prefix}:{}", shortest + length).parse().unwrap();
            let found = pool.lowest_free(used.iter().copied());
            let mut all = pool.prefix().subnets(pool.block()).unwrap();
            let expected = all.find(|block| !used.iter().any(|u| overlap(*u, *block)));
            prop_assert_eq!(found, expected);
            let Some(found) = found else { continue };
            used.push(found);
            used.sort();
            prop_assert_eq!(pool.block_of(found), found);
        }
    }
}
