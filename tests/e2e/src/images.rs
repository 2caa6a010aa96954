//! The images of the scenarios, loaded into every engine once per rig.

use jaco_harness::{Binaries, Rig, busybox_image, shop_image};

use crate::Outcome;

/// Loads `shop-app:1`, `shop-app:2` and `busybox:rig`.
pub(crate) fn load(rig: &Rig, binaries: &Binaries) -> Outcome {
    let shop = shop_image(&binaries.shop_app, &rig.directory())?;
    let entry = "ENTRYPOINT [\"/shop-app\"]";
    rig.load_image(&shop, "shop-app:1", &[entry])?;
    rig.load_image(&shop, "shop-app:2", &[entry, "LABEL version=2"])?;
    let busybox = busybox_image(&rig.directory())?;
    rig.load_image(&busybox, "busybox:rig", &["ENV PATH=/bin", "CMD [\"sh\"]"])?;
    Ok(())
}
