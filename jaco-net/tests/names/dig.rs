//! Names, asked by somebody else's client.

use std::process::Command;

use jaco_net::{dns::Forwarders, testing::Says};

use crate::world::{PORT, World, at, service, upstream};

/// What `dig` prints, or nothing where it is not.
async fn dig(arguments: &'static [&'static str]) -> Option<String> {
    let mut dig = Command::new("dig");
    dig.args(["-p", &PORT.to_string(), "-b", &at(9).ip().to_string()]);
    dig.arg(format!("@{}", at(1).ip())).args(["+tries=1", "+time=5"]).args(arguments);
    match tokio::task::spawn_blocking(move || dig.output()).await.unwrap() {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(error) => {
            eprintln!("SKIPPED: dig (bind9-dnsutils) cannot be run: {error}");
            None
        }
    }
}

#[tokio::test]
async fn dig_understands_every_answer() {
    let outside = upstream(2).await;
    outside
        .say("www.example.com", Says::Records { contents: vec!["192.0.2.1".to_owned()], ttl: 60 });
    let many: Vec<String> = (0..200).map(|n| format!("10.244.1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let services = vec![service("web", &["10.244.0.2"]), service("many", &many)];
    let _world = World::of(services, Forwarders::Given(vec![outside.address()])).await;
    for (arguments, expected) in [
        (&["web.shop.jaco.internal", "+short"][..], "10.244.0.2\n"),
        (&["WEB", "+tcp", "+short"], "10.244.0.2\n"),
        (&["web", "+noedns", "+short"], "10.244.0.2\n"),
        (&["-x", "10.244.0.2", "+short"], "1.web.shop.jaco.internal.\n"),
        (&["_http._tcp.web", "SRV", "+short"], "0 1 80 1.web.shop.jaco.internal.\n"),
        (&["web", "ANY", "+short"], "\"RFC8482\" \"\"\n"),
        (&["www.example.com", "+short"], "192.0.2.1\n"),
        (&["web", "AAAA"], "status: NOERROR"),
        (&["nope.jaco.internal"], "status: NXDOMAIN"),
        (&["web", "+edns=1", "+noednsneg"], "status: BADVERS"),
        (&["version.bind", "CH", "TXT"], "status: REFUSED"),
        (&["many", "+ignore"], " tc "),
    ] {
        let Some(printed) = dig(arguments).await else { return };
        if arguments.contains(&"+short") {
            assert_eq!(printed, expected, "{arguments:?}");
        }
        let flags = printed.replace(';', " ");
        assert!(flags.contains(expected), "{arguments:?}: {printed}");
        for complaint in ["malformed", "WARNING", "mismatch", "connection timed out"] {
            assert!(!printed.contains(complaint), "{arguments:?}: {printed}");
        }
    }
    // What is cut is asked for again over TCP.
    if let Some(printed) = dig(&["many", "+short"]).await {
        assert_eq!(printed.lines().count(), 200);
    }
}
