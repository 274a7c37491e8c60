//! Uploads: data that a caller puts into the object store, and then queues jobs with.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::job::JobId;

/// The largest upload, in bytes: what S3 takes in one PUT.
pub const MAX_UPLOAD_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// How long an upload is kept beyond the retention of jobs: every job that was accepted with it finds it for so long.
pub const UPLOAD_GRACE: TimeDelta = TimeDelta::days(1);

/// What an upload is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UploadFormat {
    /// The whole data.
    Json,
    /// Rows: a JSON object a line.
    Ndjson,
    /// Rows: a line of names, then a line a row.
    Csv,
}

impl UploadFormat {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Json, Self::Ndjson, Self::Csv];

    /// The type that the upload is sent with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }

    /// What file names of this format end with, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

impl ToSchema for UploadFormat {}

impl PartialSchema for UploadFormat {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Self::ALL.map(Self::content_type))).into()
    }
}

/// An upload's identity, `{UUIDv7}.{extension}`: all that there is to know of it before it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId {
    id: JobId,
    format: UploadFormat,
}

impl UploadId {
    /// A new id.
    pub fn new(format: UploadFormat) -> Self {
        Self { id: JobId::new(), format }
    }

    /// What the upload is written in.
    pub fn format(&self) -> UploadFormat {
        self.format
    }

    /// When the id was made.
    pub fn made_at(&self) -> Option<DateTime<Utc>> {
        self.id.made_at()
    }

    /// Where the upload is kept: `uploads/{id}`.
    pub fn key(&self) -> String {
        format!("{UPLOADS}/{self}")
    }
}

/// What the keys of uploads begin with, before the slash.
pub const UPLOADS: &str = "uploads";

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.format.extension())
    }
}

/// The text is no upload's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of an upload, as POST /uploads answers it")]
pub struct NoUploadId;

impl FromStr for UploadId {
    type Err = NoUploadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, extension) = text.split_once('.').ok_or(NoUploadId)?;
        let format = UploadFormat::ALL.into_iter().find(|format| format.extension() == extension).ok_or(NoUploadId)?;
        Ok(Self { id: id.parse().map_err(|_: uuid::Error| NoUploadId)?, format })
    }
}

impl ToSchema for UploadId {}

impl PartialSchema for UploadId {
    fn schema() -> RefOr<Schema> {
        let extensions = UploadFormat::ALL.map(UploadFormat::extension).join("|");
        let hex = "[0-9a-f]";
        let object = ObjectBuilder::new().schema_type(Type::String).description(Some("An upload's identity."));
        let object = object.pattern(Some(format!("^{hex}{{8}}(-{hex}{{4}}){{3}}-{hex}{{12}}\\.({extensions})$")));
        object.examples(["01a1fd87-9c3e-7b11-8f60-2c51d7a0e4b9.csv"]).into()
    }
}

impl Serialize for UploadId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UploadId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_names_one_file() {
        for format in UploadFormat::ALL {
            let id = UploadId::new(format);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert!(id.to_string().to_uppercase().parse::<UploadId>().is_err());
        }
        let id = UploadId::new(UploadFormat::Csv).to_string();
        for bad in
            [id.replace(".csv", ""), id.replace(".csv", ".xml"), format!("{id}.csv"), format!("../{id}"), id + "/"]
        {
            assert!(bad.parse::<UploadId>().is_err(), "{bad}");
        }
    }
}
