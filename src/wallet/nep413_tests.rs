//! What the format `nep413` takes and refuses.
