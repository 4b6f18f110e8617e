//! No arrow points up, and the documents keep up with the code.
