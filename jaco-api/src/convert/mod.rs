//! Protobuf to model and back, one file per model file. `TryFrom` is the parse.
