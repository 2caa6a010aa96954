//! The only writer: proposes here or through the leader, in batches, across elections.
