//! Fakes and builders for tests.
