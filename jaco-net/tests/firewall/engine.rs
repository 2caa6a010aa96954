//! The chains of a container engine are not in the way of the cluster.

use std::process::{Command, Stdio};

use jaco_net::{EngineChains, Firewall, NftFirewall};

use crate::{
    flows::{A1, B1, C1, FAR_A, FAR_B, FAR_HOST, OTHER, WORLD, X1, dial, dial_at},
    lab::{self, Lab},
};

/// What an engine makes of the bridges of the lab: everything that it did not think of is dropped.
const CHAINS: &str = "*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:DOCKER-STAGE-1 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-STAGE-1
-A FORWARD -o jaco-a -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i jaco-a ! -o jaco-a -j ACCEPT
-A DOCKER-STAGE-1 ! -s 10.244.2.0/24 -o jaco-c -j DROP
-A DOCKER-STAGE-1 ! -d 10.244.2.0/24 -i jaco-c -j DROP
-A DOCKER-STAGE-1 -i jaco-a -o jaco-b -j DROP
-A DOCKER-STAGE-1 -i jaco-b -o jaco-a -j DROP
-A DOCKER-USER -j RETURN
COMMIT
*raw
-A PREROUTING -d 10.244.0.2/32 ! -i jaco-a -j DROP
COMMIT
";

fn tool(lab: &Lab, program: &str, arguments: &[&str]) -> String {
    let output = lab.run("host", || Command::new(program).args(arguments).output()).unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn found(program: &str) -> bool {
    let run = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    if run.is_err() {
        lab::skip(&format!("there is no {program}: install iptables"));
    }
    run.is_ok()
}

fn accepts_are_kept_at_the_top(variant: &str, chains: &EngineChains) {
    if !lab::possible() || !found(&format!("iptables{variant}")) {
        return;
    }
    let (iptables, save) = (format!("iptables{variant}"), format!("iptables{variant}-save"));
    let lab = Lab::new();
    let rules = lab::rules();
    lab.on_node(async || NftFirewall::new().apply(&rules).await).unwrap();
    assert!(!lab.on_node(async || chains.pin(&rules).await).unwrap(), "nothing is in the way yet");
    lab.feed("host", &format!("iptables{variant}-restore"), &["--noflush"], CHAINS);
    let plain = tool(&lab, &save, &[]);
    let open = |from, to| dial(&lab, from, to, 80).is_some();
    assert!(!open(FAR_A, A1), "the engine drops it");
    assert!(dial_at(&lab, X1, "10.248.0.3", B1, 80).is_none(), "and that");

    assert!(lab.on_node(async || chains.pin(&rules).await).unwrap());
    assert!(!lab.on_node(async || chains.pin(&rules).await).unwrap(), "once is enough");
    let pinned = || {
        assert!(open(FAR_A, A1) && open(A1, FAR_A), "within a scope, over the mesh");
        assert!(open(FAR_HOST, C1), "from a host of the cluster to an internal network");
        assert!(open(A1, WORLD), "to the world as the engine lets it");
        assert!(!open(FAR_B, A1) && !open(WORLD, A1), "our own table drops as before");
        assert!(!open(OTHER, WORLD), "what the engine drops of others, it still drops");
        let crossing = dial_at(&lab, X1, "10.248.0.3", B1, 80);
        assert!(crossing.is_some(), "from one bridge to another, as a container of both");
    };
    pinned();

    // The engine puts itself first again, as it does for every new network.
    tool(&lab, &iptables, &["-w", "-I", "DOCKER-USER", "-j", "DROP"]);
    assert!(!open(FAR_A, A1), "position counts, not existence");
    assert!(lab.on_node(async || chains.pin(&rules).await).unwrap());
    assert!(open(FAR_A, A1));
    tool(&lab, &iptables, &["-w", "-D", "DOCKER-USER", "-j", "DROP"]);
    pinned();

    assert!(lab.on_node(async || chains.unpin().await).unwrap());
    let rules_of = |saved: &str| -> Vec<String> {
        saved.lines().filter(|line| line.starts_with("-A")).map(ToOwned::to_owned).collect()
    };
    assert_eq!(rules_of(&tool(&lab, &save, &[])), rules_of(&plain), "nothing of ours is left");
    assert!(!lab.on_node(async || chains.unpin().await).unwrap());
}

#[test]
fn accepts_are_kept_at_the_top_of_the_engines_chains() {
    accepts_are_kept_at_the_top("", &EngineChains::new());
}

#[test]
fn accepts_are_kept_at_the_top_of_chains_of_the_older_kind() {
    accepts_are_kept_at_the_top("-legacy", &EngineChains::legacy());
}
