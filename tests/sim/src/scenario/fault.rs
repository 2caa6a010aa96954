//! What happens to hosts, networks, engines and containers.

use std::time::Duration;

use jaco_runtime::testing::Op;
use rand::{RngExt as _, rngs::StdRng};

use super::{span, weighted};

/// Something that happens, and for how long where it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// A node ends where it stands and is started again later. With its host's power, nobody even
    /// refuses connections meanwhile.
    Crash(usize, bool, Duration),
    /// A node is stopped in order and started again later.
    Bounce(usize, Duration),
    /// All nodes end at once and are started again later.
    Blackout(Duration),
    /// The disk of a host and its engine are lost; its node is started on new ones.
    Reinstall(usize),
    /// Hosts whose bit is set and the others do not reach each other.
    Part(u32, Duration),
    /// Nothing gets from one host to another.
    OneWay(usize, usize, Duration),
    /// A host reaches nobody and is reached by nobody.
    Isolate(usize, Duration),
    /// Messages everywhere take up to this long, and so many in a thousand are lost.
    Storm(Duration, u32, Duration),
    /// Messages of one host take up to this long.
    Far(usize, Duration, Duration),
    /// A host's clock is so many milliseconds off from now on.
    Skew(usize, i64),
    /// Flushes of a host's disk take up to this long.
    SlowDisk(usize, Duration, Duration),
    /// There is no space on a host's disk.
    FullDisk(usize, Duration),
    /// A host's engine answers nothing.
    Hang(usize, Duration),
    /// A host's engine is away; its containers run on.
    Away(usize, Duration),
    /// A host's engine ends with its containers and is started later.
    EngineStop(usize, Duration),
    /// Such requests to a host's engine take this long.
    Sluggish(usize, Op, Duration, Duration),
    /// The next such request to a host's engine is refused.
    Refuse(usize, Op),
    /// The next fetch of a good image on a host fails after this time.
    PullFails(usize, Duration),
    /// A container ends; which one, and its exit code.
    Exit(u32, i64),
    /// Somebody removes a container.
    Vanish(u32),
    /// The health check of a container fails.
    Sicken(u32),
}

/// Requests that can be refused; what kills a container never is, as nothing could be promised then.
const REFUSABLE: [(u32, Op); 5] =
    [(2, Op::Create), (2, Op::Start), (1, Op::Stop), (1, Op::CreateNetwork), (1, Op::Events)];

/// Requests that can take long.
const OPS: [(u32, Op); 8] = [
    (2, Op::Create),
    (2, Op::Start),
    (2, Op::Stop),
    (2, Op::Remove),
    (1, Op::List),
    (1, Op::Inspect),
    (1, Op::CreateNetwork),
    (1, Op::Events),
];

impl Fault {
    /// How many kinds there are.
    pub const KINDS: usize = 21;

    pub(super) fn draw(dice: &mut StdRng, hosts: usize) -> Self {
        let host = dice.random_range(0..hosts);
        let container = dice.random_range(0..1_000);
        // Mostly short enough to be in the middle of what goes on, at times longer than any lease.
        let long = dice.random_bool(0.3);
        let time = span(dice, if long { 4_000 } else { 50 }, if long { 30_000 } else { 5_000 });
        let kinds = [
            (10, 0),
            (4, 1),
            (1, 2),
            (2, 3),
            (6, 4),
            (5, 5),
            (5, 6),
            (4, 7),
            (3, 8),
            (5, 9),
            (4, 10),
            (2, 11),
            (4, 12),
            (3, 13),
            (3, 14),
            (4, 15),
            (4, 16),
            (4, 17),
            (8, 18),
            (3, 19),
            (3, 20),
        ];
        match weighted(dice, &kinds) {
            0 => Self::Crash(host, dice.random_bool(0.3), time),
            1 => Self::Bounce(host, time),
            2 => Self::Blackout(time),
            3 => Self::Reinstall(host),
            4 => Self::Part(dice.random_range(1..256), time),
            5 => Self::OneWay(host, dice.random_range(0..hosts), time),
            6 => Self::Isolate(host, time),
            7 => Self::Storm(span(dice, 5, 400), dice.random_range(0..150), time),
            8 => Self::Far(host, span(dice, 50, 700), time),
            9 => Self::Skew(host, dice.random_range(-30_000..=30_000)),
            10 => Self::SlowDisk(host, span(dice, 5, 900), time),
            11 => Self::FullDisk(host, time),
            12 => Self::Hang(host, time),
            13 => Self::Away(host, time),
            14 => Self::EngineStop(host, time),
            15 => Self::Sluggish(host, weighted(dice, &OPS), span(dice, 50, 3_000), time),
            16 => Self::Refuse(host, weighted(dice, &REFUSABLE)),
            17 => Self::PullFails(host, span(dice, 0, 4_000)),
            18 => Self::Exit(container, dice.random_range(0..=1)),
            19 => Self::Vanish(container),
            _ => Self::Sicken(container),
        }
    }
}
