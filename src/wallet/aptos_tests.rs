//! What the format `aptos` takes and refuses.
