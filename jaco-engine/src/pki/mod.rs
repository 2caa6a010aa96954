//! The cluster's CA, node certificates and tokens.
