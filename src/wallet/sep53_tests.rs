//! What the format `sep53` takes and refuses.
