//! What only the leader does, for as long as it leads.
