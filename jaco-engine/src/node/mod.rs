//! One node: the only module that joins the control plane with runtime, net and ingress.
