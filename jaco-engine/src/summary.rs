//! What people are shown, derived from the state.
