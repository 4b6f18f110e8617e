//! What the format `ssh` takes and refuses.
