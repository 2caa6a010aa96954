//! Everything one node must do, projected from the state.
