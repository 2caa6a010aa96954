//! What is loaded, and how it differs from what should be. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use super::Ruleset;

/// What a firewall holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The ruleset that it stands for, as far as it stands for one.
    pub ruleset: Ruleset,
    /// Everything by which it differs from what is loaded for `ruleset`, in words: rules and
    /// elements that are missing, changed or too many.
    pub differences: Vec<String>,
}

impl Loaded {
    /// Exactly what is loaded for `ruleset`.
    #[must_use]
    pub fn exactly(ruleset: Ruleset) -> Self {
        Self { ruleset, differences: Vec::new() }
    }

    /// Whether this is what is loaded for `wanted`, in every rule and element.
    #[must_use]
    pub fn is(&self, wanted: &Ruleset) -> bool {
        self.differences.is_empty() && self.ruleset == *wanted
    }

    /// Everything by which this differs from what is loaded for `wanted`, in words.
    #[must_use]
    pub fn drift(&self, wanted: &Ruleset) -> Vec<String> {
        let held = &self.ruleset;
        let mut words = self.differences.clone();
        keyed("pool", &set(&held.pools), &set(&wanted.pools), &mut words);
        keyed("scope", &held.scopes, &wanted.scopes, &mut words);
        keyed("bridge", &held.bridges, &wanted.bridges, &mut words);
        keyed("port", &set(&held.ingress), &set(&wanted.ingress), &mut words);
        keyed(
            "pool of services",
            &set(&held.virtual_pools),
            &set(&wanted.virtual_pools),
            &mut words,
        );
        keyed("virtual address", &held.virtuals, &wanted.virtuals, &mut words);
        keyed("container in several networks", &set(&held.homes), &set(&wanted.homes), &mut words);
        if held.mesh != wanted.mesh {
            words.push(format!("the mesh is {:?} instead of {:?}", held.mesh, wanted.mesh));
        }
        words
    }
}

/// A set as a map of nothing.
fn set<K: Ord>(keys: &BTreeSet<K>) -> BTreeMap<&K, ()> {
    keys.iter().map(|key| (key, ())).collect()
}

fn keyed<K: Ord + Debug, V: PartialEq + Debug>(
    kind: &str,
    held: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    words: &mut Vec<String>,
) {
    for (key, value) in wanted {
        match held.get(key) {
            None => words.push(format!("{kind} {key:?} is missing")),
            Some(other) if other != value => {
                words.push(format!("{kind} {key:?} is {other:?} instead of {value:?}"));
            }
            Some(_) => {}
        }
    }
    let strangers = held.keys().filter(|key| !wanted.contains_key(key));
    words.extend(strangers.map(|key| format!("{kind} {key:?} was added")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_names_what_differs_and_nothing_else() {
        let mut wanted = Ruleset::default();
        wanted.pools.insert("10.244.0.0/14".parse().unwrap());
        wanted.scopes.insert("a/x".parse().unwrap(), ["10.244.0.0/24".parse().unwrap()].into());
        let exact = Loaded::exactly(wanted.clone());
        assert!(exact.is(&wanted) && exact.drift(&wanted).is_empty());

        let mut held = wanted.clone();
        held.scopes.insert("a/x".parse().unwrap(), ["10.244.1.0/24".parse().unwrap()].into());
        held.pools.insert("10.0.0.0/24".parse().unwrap());
        let drift = Loaded::exactly(held).drift(&wanted);
        assert_eq!(drift.len(), 2, "{drift:#?}");
        assert_eq!(drift[0], "pool 10.0.0.0/24 was added");
        assert!(drift[1].contains("10.244.1.0/24") && drift[1].contains("10.244.0.0/24"));

        let differences = vec!["chain forward is missing".to_owned()];
        let torn = Loaded { ruleset: wanted.clone(), differences: differences.clone() };
        assert!(!torn.is(&wanted));
        assert_eq!(torn.drift(&wanted), differences);
    }
}
