//! Time behind a seam: the system's, or one that tests turn by hand.
