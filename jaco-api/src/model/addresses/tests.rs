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
fn the_lowest_block_lies_whole_in_what_is_free() {
    let pool: AddressPool = "10.0.0.0/16:24".parse().unwrap();
    let range = |text: &str| pool.common(net(text)).unwrap();
    let lowest = |free: &[&str]| pool.lowest_in(free.iter().map(|f| range(f)));
    assert_eq!(lowest(&["10.0.0.0/16"]), Some(net("10.0.0.0/24")));
    assert_eq!(lowest(&["10.0.1.0/25", "10.0.2.0/26", "10.0.4.0/23"]), Some(net("10.0.4.0/24")));
    assert_eq!(
        pool.lowest_in([*range("10.0.1.128/25").start()..=*range("10.0.2.0/24").end()]),
        Some(net("10.0.2.0/24"))
    );
    assert_eq!(lowest(&["10.0.255.0/25"]), None);
    assert_eq!(pool.lowest_in([]), None);
    let end: AddressPool = "fdff:ffff::/32:40".parse().unwrap();
    let last = net("fdff:ffff:ff00::/40");
    assert_eq!(end.lowest_in(end.common(last)), Some(last));
}

#[test]
fn what_a_prefix_takes_of_a_pool_is_what_lies_in_both() {
    let pool: AddressPool = "10.0.0.0/16:24".parse().unwrap();
    let of = |text: &str| pool.common(net(text)).map(|r| r.end() - r.start() + 1);
    assert_eq!(of("10.0.7.0/24"), Some(256));
    assert_eq!(of("10.0.0.0/8"), Some(65_536), "of a larger one, all of the pool");
    assert_eq!(of("10.1.0.0/24"), None);
    assert_eq!(of("::a00:0/104"), None, "the same numbers in the other family");
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
