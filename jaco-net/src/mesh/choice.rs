//! Which device makes the mesh of this node.
//!
//! In: what the operator wants, and what the machine offers. Out: the kind of device and the reason, or
//! everything that is missing with its remedy. [`choose`] decides and is pure; [`probe`] looks and
//! decides nothing; [`open`] is both.

use std::{fmt, fs::OpenOptions, io, str::FromStr, sync::Arc};

use rustix::thread::CapabilitySet;

use super::{MeshDevice, MeshKind};
use crate::NetError;

/// What the operator wants: `mesh` in `jacod.yaml`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MeshMode {
    /// The kernel, and only that.
    Kernel,
    /// This process, and only that.
    Userspace,
    /// The kernel, or this process if the kernel has no WireGuard.
    #[default]
    Auto,
    /// No mesh.
    Off,
}

/// A text that is no [`MeshMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mesh is kernel, userspace, auto or off")]
pub struct InvalidMeshMode;

impl MeshMode {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Kernel, "kernel"),
        (Self::Userspace, "userspace"),
        (Self::Auto, "auto"),
        (Self::Off, "off"),
    ];
}

impl fmt::Display for MeshMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(mode, _)| mode == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for MeshMode {
    type Err = InvalidMeshMode;

    fn from_str(text: &str) -> Result<Self, InvalidMeshMode> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(mode, _)| *mode).ok_or(InvalidMeshMode)
    }
}

/// What the machine and this build offer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facilities {
    /// Whether this process may change interfaces.
    pub net_admin: bool,
    /// Why the kernel's WireGuard cannot be used; `None` if it can.
    pub kernel: Option<Missing>,
    /// Why TUN interfaces cannot be used; `None` if they can.
    pub tun: Option<Missing>,
}

/// Something that a mesh needs and that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// The process may not make interfaces.
    #[error("the capability CAP_NET_ADMIN is missing: run jacod as root, or grant it")]
    NetAdmin,
    /// The kernel has no WireGuard.
    #[error("the kernel has no WireGuard ({0}): modprobe wireguard, or `mesh: userspace`")]
    WireGuard(String),
    /// There is no TUN device.
    #[error(
        "/dev/net/tun cannot be opened ({0}): modprobe tun, and pass the device to a container"
    )]
    Tun(String),
    /// This build has no such device.
    #[error("this program was built without the feature `{0}`")]
    Feature(&'static str),
}

/// Why a node has the mesh device that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The operator wants it.
    Configured,
    /// The kernel has WireGuard, which is the fastest.
    KernelOffersIt,
    /// It is not the kernel, for this reason.
    NotTheKernel(Missing),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("configured"),
            Self::KernelOffersIt => f.write_str("the kernel has WireGuard"),
            Self::NotTheKernel(missing) => missing.fmt(f),
        }
    }
}

/// The device of this node, as decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// How the tunnels are made; `None` if there are to be none.
    pub kind: Option<MeshKind>,
    /// Why so.
    pub reason: Reason,
}

/// No device of the kind that is wanted can be had here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMesh {
    /// What is wanted.
    pub mode: MeshMode,
    /// Everything that is in the way; never empty.
    pub missing: Vec<Missing>,
}

impl fmt::Display for NoMesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this node can have no mesh (`mesh: {}`)", self.mode)?;
        self.missing.iter().try_for_each(|missing| write!(f, "; {missing}"))
    }
}

impl std::error::Error for NoMesh {}

/// Decides by which device the mesh is made.
///
/// # Errors
/// What is wanted cannot be had.
pub fn choose(mode: MeshMode, offered: &Facilities) -> Result<Choice, NoMesh> {
    let nobody = (!offered.net_admin).then_some(Missing::NetAdmin);
    let lacks = |facility: &Option<Missing>| -> Vec<Missing> {
        nobody.iter().chain(facility).cloned().collect()
    };
    let (kernel, userspace) = (lacks(&offered.kernel), lacks(&offered.tun));
    let choice = |kind, reason| Ok(Choice { kind: Some(kind), reason });
    match mode {
        MeshMode::Off => Ok(Choice { kind: None, reason: Reason::Configured }),
        MeshMode::Kernel if kernel.is_empty() => choice(MeshKind::Kernel, Reason::Configured),
        MeshMode::Kernel => Err(NoMesh { mode, missing: kernel }),
        MeshMode::Userspace if userspace.is_empty() => {
            choice(MeshKind::Userspace, Reason::Configured)
        }
        MeshMode::Userspace => Err(NoMesh { mode, missing: userspace }),
        MeshMode::Auto => match (kernel.into_iter().next(), userspace.is_empty()) {
            (None, _) => choice(MeshKind::Kernel, Reason::KernelOffersIt),
            (Some(why), true) => choice(MeshKind::Userspace, Reason::NotTheKernel(why)),
            (Some(_), false) => {
                let facilities = nobody.iter().chain(&offered.kernel).chain(&offered.tun);
                Err(NoMesh { mode, missing: facilities.cloned().collect() })
            }
        },
    }
}

/// Looks what the machine offers. Asking the kernel for WireGuard loads its module if there is one.
pub async fn probe() -> Facilities {
    let capabilities = rustix::thread::capabilities(None);
    Facilities {
        net_admin: capabilities.is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN)),
        kernel: kernel().await,
        tun: tun(),
    }
}

#[cfg(feature = "kernel")]
async fn kernel() -> Option<Missing> {
    let available = super::kernel::available().await;
    available.err().map(|error| Missing::WireGuard(error.to_string()))
}

#[cfg(not(feature = "kernel"))]
async fn kernel() -> Option<Missing> {
    Some(Missing::Feature("kernel"))
}

fn tun() -> Option<Missing> {
    if !cfg!(feature = "userspace") {
        return Some(Missing::Feature("userspace"));
    }
    let opened: io::Result<_> = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    opened.err().map(|error| Missing::Tun(error.to_string()))
}

/// The device that this node gets, with the reason for it; no device if there is to be no mesh.
///
/// # Errors
/// What is wanted cannot be had.
pub async fn open(
    mode: MeshMode,
    interface: &str,
) -> Result<(Option<Arc<dyn MeshDevice>>, Choice), NetError> {
    let choice = choose(mode, &probe().await)?;
    let device: Option<Arc<dyn MeshDevice>> = match choice.kind {
        #[cfg(feature = "kernel")]
        Some(MeshKind::Kernel) => Some(Arc::new(super::KernelMesh::named(interface))),
        #[cfg(feature = "userspace")]
        Some(MeshKind::Userspace) => Some(Arc::new(super::UserspaceMesh::named(interface))),
        _ => None,
    };
    Ok((device, choice))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_WIREGUARD: fn() -> Missing = || Missing::WireGuard("No such file".to_owned());
    const NO_TUN: fn() -> Missing = || Missing::Tun("No such file".to_owned());

    fn offers(kernel: Option<Missing>, tun: Option<Missing>) -> Facilities {
        Facilities { net_admin: true, kernel, tun }
    }

    fn chosen(
        mode: MeshMode,
        offered: &Facilities,
    ) -> Result<(Option<MeshKind>, Reason), Vec<Missing>> {
        choose(mode, offered).map(|c| (c.kind, c.reason)).map_err(|none| none.missing)
    }

    #[test]
    fn the_kernel_is_taken_when_it_can_be_had() {
        let all = offers(None, None);
        let kernel = Some(MeshKind::Kernel);
        assert_eq!(chosen(MeshMode::Auto, &all), Ok((kernel, Reason::KernelOffersIt)));
        assert_eq!(chosen(MeshMode::Kernel, &all), Ok((kernel, Reason::Configured)));
        assert_eq!(
            chosen(MeshMode::Userspace, &all),
            Ok((Some(MeshKind::Userspace), Reason::Configured))
        );
        assert_eq!(chosen(MeshMode::Auto, &offers(None, Some(NO_TUN()))).unwrap().0, kernel);
    }

    #[test]
    fn auto_falls_back_and_says_why() {
        let reason = Reason::NotTheKernel(NO_WIREGUARD());
        let offered = offers(Some(NO_WIREGUARD()), None);
        assert_eq!(chosen(MeshMode::Auto, &offered), Ok((Some(MeshKind::Userspace), reason)));
        assert_eq!(chosen(MeshMode::Kernel, &offered), Err(vec![NO_WIREGUARD()]));
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        let nothing =
            Facilities { net_admin: false, kernel: Some(NO_WIREGUARD()), tun: Some(NO_TUN()) };
        let all = vec![Missing::NetAdmin, NO_WIREGUARD(), NO_TUN()];
        assert_eq!(chosen(MeshMode::Auto, &nothing), Err(all));
        let unprivileged = Facilities { net_admin: false, ..offers(None, None) };
        for mode in [MeshMode::Auto, MeshMode::Kernel, MeshMode::Userspace] {
            assert_eq!(chosen(mode, &unprivileged), Err(vec![Missing::NetAdmin]), "{mode}");
        }
        let said = choose(MeshMode::Kernel, &nothing).unwrap_err().to_string();
        assert!(said.contains("CAP_NET_ADMIN") && said.contains("modprobe wireguard"), "{said}");
    }

    #[test]
    fn off_needs_nothing() {
        let nothing = Facilities::default();
        assert_eq!(chosen(MeshMode::Off, &nothing), Ok((None, Reason::Configured)));
    }

    #[test]
    fn modes_have_the_names_of_the_configuration() {
        for name in ["kernel", "userspace", "auto", "off"] {
            assert_eq!(name.parse::<MeshMode>().unwrap().to_string(), name);
        }
        assert_eq!("on".parse::<MeshMode>(), Err(InvalidMeshMode));
    }
}
