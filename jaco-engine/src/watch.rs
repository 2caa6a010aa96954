//! The newest state, level-triggered.
