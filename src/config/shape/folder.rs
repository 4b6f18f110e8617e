//! A folder or a file is a path, taken from where the server is started unless it begins at the root.
//!
//! Whether it is there, and whose it is, is judged when it is opened.

use std::path::PathBuf;

use super::TextShape;

/// A path that names a folder.
pub(crate) struct Folder;

impl TextShape for Folder {
    type Value = PathBuf;

    fn accepted(&self) -> String {
        "a path such as /var/lib/countersign".to_owned()
    }

    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        if text.contains('\0') {
            return Err("must not contain a NUL".to_owned());
        }
        Ok(PathBuf::from(text))
    }
}

/// A path that names a file.
pub(crate) struct FilePath;

impl TextShape for FilePath {
    type Value = PathBuf;

    fn accepted(&self) -> String {
        "a path such as /etc/countersign/sealing.key".to_owned()
    }

    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        Folder.parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_they_are() {
        assert_eq!(Folder.parse("/var/lib/x"), Ok(PathBuf::from("/var/lib/x")));
        assert_eq!(Folder.parse("./data dir"), Ok(PathBuf::from("./data dir")));
        assert!(Folder.parse("a\0b").is_err());
    }
}
