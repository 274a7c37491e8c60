//! The data beside rows that are uploaded by themselves.

use serde_json::{Map, Value};

use crate::numbers::Json;

/// The data beside the rows, where the upload holds rows only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head {
    /// As schemas are checked.
    pub(crate) plain: Map<String, Value>,
    /// As templates read it.
    pub(crate) exact: Map<String, Value>,
}

impl From<Map<String, Value>> for Head {
    /// For data whose numbers are held by doubles.
    fn from(plain: Map<String, Value>) -> Self {
        Self { exact: plain.clone(), plain }
    }
}

impl TryFrom<Json> for Head {
    type Error = NotAnObject;

    fn try_from(json: Json) -> Result<Self, NotAnObject> {
        match (json.plain, json.exact) {
            (Value::Object(plain), None) => Ok(plain.into()),
            (Value::Object(plain), Some(Value::Object(exact))) => Ok(Self { plain, exact }),
            _ => Err(NotAnObject),
        }
    }
}

/// The data beside rows is not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data beside the rows is not a JSON object")]
pub struct NotAnObject;
