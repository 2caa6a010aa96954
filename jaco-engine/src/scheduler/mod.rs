//! What is to run where: `plan(&State, now)`, pure.
