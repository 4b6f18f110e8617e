//! JSON from outside that must be an object, wherever it stands.
//!
//! `serde` reads a derived struct from an array too, member by member in the order of the source.
//! No standard here allows that (RFC 7515 §4, RFC 7517 §4, RFC 7519 §7.2), and the order of our
//! struct fields is nobody's contract.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// A value that is read from a JSON object and from nothing else.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// For members that are refused by being there at all, `null` included: `true` once it is read.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// For members that may be absent: one that is there has its type, and `null` is not absence.
pub(crate) fn typed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Reads a JSON object, all of it UTF-8: the parser itself does not look into members that it skips.
pub(crate) fn object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, serde_json::Error> {
    let text = std::str::from_utf8(json).map_err(serde::de::Error::custom)?;
    serde_json::from_str(text).map(|Object(value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Pair<'a> {
        first: &'a str,
        second: Option<Object<Inner>>,
    }

    #[derive(serde::Deserialize)]
    struct Inner {
        number: u8,
    }

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        let pair: Pair<'_> = object(br#"{"first":"a","second":{"number":1}}"#).unwrap();
        assert_eq!((pair.first, pair.second.map(|inner| inner.0.number)), ("a", Some(1)));
        for array in [
            &br#"["a",null]"#[..],
            br#"{"first":"a","second":[1]}"#,
            b"null",
            b"1",
            b"{\"first\":\"a\",\"x\":\"\xff\"}",
        ] {
            assert!(object::<Pair<'_>>(array).is_err());
        }
    }
}
