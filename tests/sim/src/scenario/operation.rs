//! What operators do.

use jaco_api::model::Availability;
use rand::{RngExt as _, rngs::StdRng};

use super::weighted;

/// The deployments of a scenario, each of a kind of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deployment {
    /// Stateless replicas, replaced start-first.
    Web,
    /// Stateless replicas, replaced two at a time in place.
    Pool,
    /// One replica with a volume.
    Db,
    /// One replica on each node.
    Agent,
    /// A job that ends well.
    Batch,
    /// One replica that never runs twice.
    Cron,
    /// A page that waits for its database to be healthy.
    Shop,
    /// A job that runs at times.
    Timed,
}

impl Deployment {
    /// All of them but [`Self::Timed`], which never comes to rest and has dice of its own.
    pub const ALL: [Self; 7] =
        [Self::Web, Self::Pool, Self::Db, Self::Agent, Self::Batch, Self::Cron, Self::Shop];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Pool => "pool",
            Self::Db => "db",
            Self::Agent => "agent",
            Self::Batch => "batch",
            Self::Cron => "cron",
            Self::Shop => "shop",
            Self::Timed => "timed",
        }
    }

    /// Whether its first service can be scaled.
    #[must_use]
    pub const fn scales(self) -> bool {
        matches!(self, Self::Web | Self::Pool | Self::Batch | Self::Shop)
    }
}

/// What a service's image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// It runs.
    Good,
    /// It ends at once, with an error.
    Broken,
    /// It exists nowhere.
    Missing,
    /// Its health check fails.
    Sick,
    /// It takes long to stop.
    Stubborn,
}

/// The content of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// What its image does.
    pub image: Image,
    /// A value of its environment: another one makes another container.
    pub greeting: u32,
    /// How many replicas.
    pub replicas: u32,
    /// What happens when a rollout fails: pause, continue or rollback.
    pub on_failure: u32,
    /// How replicas are placed: the cluster's default, spread, pack, or on hosts.
    pub placement: u32,
}

/// Something that operators do. Hosts are named by number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// New content.
    Apply(Deployment, Recipe),
    /// Other counts.
    Scale(Deployment, u32),
    /// The content before.
    Rollback(Deployment),
    /// New containers.
    Restart(Deployment),
    /// Nothing is to run.
    Stop(Deployment),
    /// Everything is to run again.
    Start(Deployment),
    /// The end, with its volumes or without.
    Delete(Deployment, bool),
    /// Another availability of a host's node, forced or not.
    Avail(usize, Availability, bool),
    /// A host's node becomes a member.
    Join(usize),
    /// A label of a host's node.
    Label(usize, u32),
    /// A setting: which, and a number its value is made from.
    Set(u32, u32),
    /// A new operator token.
    Token(u32),
    /// Another data key.
    Rotate,
    /// Another leader.
    Transfer(usize),
}

impl Operation {
    /// How many kinds there are.
    pub const KINDS: usize = 14;

    pub(super) fn draw(dice: &mut StdRng, hosts: usize) -> Self {
        let deployment = Deployment::ALL[dice.random_range(0..Deployment::ALL.len())];
        let host = dice.random_range(0..hosts);
        let number = dice.random_range(0..1_000_000);
        let kinds =
            [(30, 0), (10, 1), (5, 2), (6, 3), (3, 4), (5, 5), (3, 6), (12, 7), (8, 8), (3, 9)];
        let rarer = [(5, 10), (3, 11), (2, 12), (2, 13)];
        match weighted(dice, &[&kinds[..], &rarer].concat()) {
            0 => Self::Apply(deployment, Recipe::draw(dice)),
            1 => Self::Scale(deployment, dice.random_range(0..=6)),
            2 => Self::Rollback(deployment),
            3 => Self::Restart(deployment),
            4 => Self::Stop(deployment),
            5 => Self::Start(deployment),
            6 => Self::Delete(deployment, dice.random_bool(0.5)),
            7 => {
                let wanted = [
                    (4, Availability::Active),
                    (3, Availability::Cordoned),
                    (3, Availability::Draining),
                    (2, Availability::Leaving),
                ];
                let wanted = weighted(dice, &wanted);
                Self::Avail(host, wanted, dice.random_bool(0.5))
            }
            8 => Self::Join(host),
            9 => Self::Label(host, dice.random_range(0..2)),
            10 => Self::Set(dice.random_range(0..3), number),
            11 => Self::Token(number),
            12 => Self::Rotate,
            _ => Self::Transfer(host),
        }
    }
}

impl Operation {
    /// Something with the deployment that runs at times.
    pub(super) fn draw_timed(dice: &mut StdRng) -> Self {
        let timed = Deployment::Timed;
        match weighted(dice, &[(6, 0), (2, 1), (3, 2), (1, 3), (1, 4)]) {
            0 => Self::Apply(timed, Recipe { image: Image::Good, ..Recipe::draw(dice) }),
            1 => Self::Stop(timed),
            2 => Self::Start(timed),
            3 => Self::Restart(timed),
            _ => Self::Delete(timed, false),
        }
    }
}

impl Recipe {
    fn draw(dice: &mut StdRng) -> Self {
        let images = [
            (12, Image::Good),
            (2, Image::Broken),
            (1, Image::Missing),
            (2, Image::Sick),
            (2, Image::Stubborn),
        ];
        Self {
            image: weighted(dice, &images),
            greeting: dice.random_range(0..4),
            replicas: dice.random_range(1..=6),
            on_failure: dice.random_range(0..4),
            placement: dice.random_range(0..6),
        }
    }

    /// The same, of an image that runs.
    #[must_use]
    pub fn good(greeting: u32, replicas: u32) -> Self {
        Self { image: Image::Good, greeting, replicas, on_failure: 0, placement: 0 }
    }
}
