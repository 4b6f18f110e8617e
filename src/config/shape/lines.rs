//! A target of lines is standard output, a file, or none.

use std::path::PathBuf;

use super::TextShape;
use crate::audit::Target;

/// `"off"`, `"stdout"`, or a path.
pub(crate) struct LinesTarget;

impl TextShape for LinesTarget {
    type Value = Option<Target>;

    fn accepted(&self) -> String {
        "\"off\", \"stdout\", or a path that begins with / or .".to_owned()
    }

    fn parse(&self, text: &str) -> Result<Option<Target>, String> {
        match text {
            "off" => Ok(None),
            "stdout" => Ok(Some(Target::Stdout)),
            path if path.starts_with(['/', '.']) && !path.contains('\0') => {
                Ok(Some(Target::File(PathBuf::from(path))))
            }
            _ => Err("is none of these".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_no_file() {
        assert_eq!(LinesTarget.parse("off"), Ok(None));
        assert_eq!(LinesTarget.parse("stdout"), Ok(Some(Target::Stdout)));
        let file = PathBuf::from("/run/audit.jsonl");
        assert_eq!(LinesTarget.parse("/run/audit.jsonl"), Ok(Some(Target::File(file))));
        assert!(LinesTarget.parse("stderr").is_err());
    }
}
