//! A job's data as the JSON text that it came in: numbers keep the digits they were written with.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A JSON text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Data(Box<RawValue>);

impl Data {
    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// What it says, with numbers as doubles.
    pub fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::from_str(self.get())
    }
}

impl From<Box<RawValue>> for Data {
    fn from(text: Box<RawValue>) -> Self {
        Self(text)
    }
}

impl From<&Value> for Data {
    fn from(value: &Value) -> Self {
        Self(to_raw_value(value).unwrap_or_else(|error| unreachable!("a value is always JSON: {error}")))
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Data {}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}
