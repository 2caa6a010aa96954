//! Who may, and does it make sense: (state, principal, request) to command.
