//! Whether a JSON value fits a schema of the OpenAPI document, by the keywords that the document uses and no other.
//!
//! A keyword that is not known here ends the test, so that nothing in the document goes unchecked.

use serde_json::Value;

/// What is wrong with `value` under `schema`; `document` is where references lead.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, wanted) in schema.as_object().unwrap() {
        if !holds(document, schema, (keyword, wanted), value, &mut found) {
            found.push(format!("{keyword}: {wanted} does not take {value}"));
        }
    }
    found
}

fn holds(
    document: &Value,
    schema: &Value,
    (keyword, wanted): (&str, &Value),
    value: &Value,
    found: &mut Vec<String>,
) -> bool {
    let fits = |schema: &Value, value: &Value| faults(document, schema, value);
    let length = || value.as_str().map(|text| text.chars().count() as u64);
    match keyword {
        "description" => true,
        "$ref" => {
            let place = wanted.as_str().unwrap().strip_prefix('#').unwrap();
            found.extend(fits(document.pointer(place).unwrap(), value));
            true
        }
        "type" => match wanted {
            Value::Array(types) => types.iter().any(|wanted| is_of(wanted, value)),
            wanted => is_of(wanted, value),
        },
        "enum" => wanted.as_array().unwrap().contains(value),
        "const" => wanted == value,
        "required" => {
            let names = wanted.as_array().unwrap().iter();
            names.map(|name| name.as_str().unwrap()).all(|name| value.get(name).is_some())
        }
        "properties" => {
            for (name, schema) in wanted.as_object().unwrap() {
                if let Some(member) = value.get(name) {
                    found.extend(
                        fits(schema, member).into_iter().map(|fault| format!("{name}: {fault}")),
                    );
                }
            }
            true
        }
        "additionalProperties" => {
            assert_eq!(wanted, false);
            let known = schema["properties"].as_object().unwrap();
            value
                .as_object()
                .is_none_or(|members| members.keys().all(|name| known.contains_key(name)))
        }
        "items" => {
            let items = value.as_array().into_iter().flatten();
            found.extend(items.flat_map(|item| fits(wanted, item)));
            true
        }
        "oneOf" => {
            let schemas = wanted.as_array().unwrap().iter();
            schemas.filter(|schema| fits(schema, value).is_empty()).count() == 1
        }
        "minimum" => value.as_u64().is_some_and(|number| number >= wanted.as_u64().unwrap()),
        "minLength" => length() >= wanted.as_u64(),
        "maxLength" => length() <= wanted.as_u64(),
        "pattern" => value.as_str().is_some_and(|text| matches(wanted.as_str().unwrap(), text)),
        "format" => {
            assert_eq!(wanted, "date-time");
            value.as_str().is_some_and(is_moment)
        }
        other => panic!("the keyword {other} is not known here"),
    }
}

fn is_of(wanted: &Value, value: &Value) -> bool {
    match wanted.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    }
}

/// The two patterns of the document: so many characters of base64url, and the beginning of a DID.
fn matches(pattern: &str, text: &str) -> bool {
    if pattern == "^did:(pkh|key):" {
        return text.starts_with("did:pkh:") || text.starts_with("did:key:");
    }
    let count = pattern.strip_prefix("^[A-Za-z0-9_-]{").and_then(|rest| rest.strip_suffix("}$"));
    let count: usize = count.unwrap().parse().unwrap();
    text.len() == count && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// RFC 3339 in whole seconds of UTC, as every moment of ours is written.
fn is_moment(text: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd:ddZ";
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            shape => byte == shape,
        })
}
