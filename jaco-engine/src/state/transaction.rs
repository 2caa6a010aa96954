//! Changing the state: rows in, indexes kept.
