//! The data of a request, as it is checked and as it is passed on.

use input::Json;
use jobs::Data;
use serde_json::Value;

/// The data of a request.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) json: Json,
    /// Its text, where that says more than its value.
    text: Option<Data>,
}

impl Given {
    /// The data of a request that as a whole is `exact`, where that is not the same.
    pub(crate) fn new(plain: Value, exact: Option<(Value, Option<Data>)>) -> Self {
        let (exact, text) = exact.unzip();
        let exact = exact.map(|mut exact| exact["data"].take());
        Self { json: Json { plain, exact }, text: text.flatten() }
    }

    /// What a message carries.
    pub(crate) fn into_data(self) -> Data {
        self.text.unwrap_or_else(|| self.json.plain.into())
    }
}

impl Default for Given {
    fn default() -> Self {
        Self::new(Value::Null, None)
    }
}
