//! Uploads: data that a caller puts into the object store, and then queues jobs with.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::job::JobId;

/// The largest upload, in bytes: what S3 takes in one PUT.
pub const MAX_UPLOAD_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// How long an upload is kept beyond the retention of jobs: every job that was accepted with it finds it for so long.
pub const UPLOAD_GRACE: TimeDelta = TimeDelta::days(1);

/// How long after it was begun a job may be the first to name an upload.
pub const UNNAMED_LIFE: TimeDelta = TimeDelta::days(1);

/// How long an upload that no job has named is kept: longer than one may name it, so that none is removed under a request.
pub const UNNAMED_KEPT: TimeDelta = TimeDelta::hours(25);

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

/// What separates the fields of a CSV upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Separator {
    /// `,`
    #[default]
    Comma,
    /// `;`
    Semicolon,
    /// TAB
    Tab,
    /// `|`
    Pipe,
}

impl Separator {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Pipe];

    /// The character.
    pub fn character(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Semicolon => ';',
            Self::Tab => '\t',
            Self::Pipe => '|',
        }
    }

    /// What an upload's id says of it.
    fn tag(self) -> &'static str {
        match self {
            Self::Comma => "",
            Self::Semicolon => "semicolon.",
            Self::Tab => "tab.",
            Self::Pipe => "pipe.",
        }
    }
}

/// The text is none of the separators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a separator is `,`, `;`, `|` or TAB")]
pub struct NoSeparator;

impl FromStr for Separator {
    type Err = NoSeparator;

    /// Reads the character, or what a command line has for a TAB.
    fn from_str(text: &str) -> Result<Self, NoSeparator> {
        let is = |it: &Self| text.chars().eq([it.character()]);
        let tab = ["tab", "TAB", "\\t"].contains(&text).then_some(Self::Tab);
        Self::ALL.into_iter().find(is).or(tab).ok_or(NoSeparator)
    }
}

/// How a CSV upload is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// What separates fields.
    pub separator: Separator,
    /// Whether numbers are written as `1.234,50`.
    pub decimal_comma: bool,
}

impl Dialect {
    const DECIMAL_COMMA: &str = "decimal-comma.";

    /// Reads what an upload's id says before `csv`.
    fn of_tags(tags: &str) -> Option<Self> {
        let all = Separator::ALL
            .into_iter()
            .flat_map(|separator| [false, true].map(|decimal_comma| Self { separator, decimal_comma }));
        all.into_iter().find(|dialect| dialect.to_string() == tags)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.separator.tag(), if self.decimal_comma { Self::DECIMAL_COMMA } else { "" })
    }
}

/// Whose an upload is: 128 bits of the SHA-256 of a caller's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadOwner([u8; 16]);

impl UploadOwner {
    /// The caller of this name.
    pub fn named(caller: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(caller.as_bytes()).into();
        Self(std::array::from_fn(|index| digest[index]))
    }

    fn read(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(|bits| Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for UploadOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// An upload's identity, `{UUIDv7}.{owner}.{extension}`: all that there is to know of it before it is there. It has no owner
/// where callers have no names. Before `csv` stands what is not usual of it, as in
/// `{UUIDv7}.semicolon.decimal-comma.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId {
    id: JobId,
    owner: Option<UploadOwner>,
    format: UploadFormat,
    dialect: Dialect,
}

impl UploadId {
    /// A new id.
    pub fn new(format: UploadFormat) -> Self {
        Self { id: JobId::new(), owner: None, format, dialect: Dialect::default() }
    }

    /// The same, as this one's. The owner is a part of the id, so that an upload cannot be another's under its id.
    #[must_use]
    pub fn of(self, owner: Option<UploadOwner>) -> Self {
        Self { owner, ..self }
    }

    /// Whose the upload is; nobody's where callers have no names.
    pub fn owner(&self) -> Option<UploadOwner> {
        self.owner
    }

    /// A new id of CSV that is written in this way.
    pub fn of_csv(dialect: Dialect) -> Self {
        Self { dialect, ..Self::new(UploadFormat::Csv) }
    }

    /// How the upload is written, if it is CSV.
    pub fn dialect(&self) -> Dialect {
        self.dialect
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
        write!(f, "{}.", self.id)?;
        if let Some(owner) = self.owner {
            write!(f, "{owner}.")?;
        }
        write!(f, "{}{}", self.dialect, self.format.extension())
    }
}

/// The text is no upload's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of an upload, as POST /uploads answers it")]
pub struct NoUploadId;

impl FromStr for UploadId {
    type Err = NoUploadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, rest) = text.split_once('.').ok_or(NoUploadId)?;
        let owned = rest.split_once('.').and_then(|(owner, rest)| Some((UploadOwner::read(owner)?, rest)));
        let (owner, extension) = owned.map_or((None, rest), |(owner, rest)| (Some(owner), rest));
        let tags = extension.len() - extension.rsplit('.').next().unwrap_or_default().len();
        let (tags, extension) = extension.split_at(tags);
        let format = UploadFormat::ALL.into_iter().find(|format| format.extension() == extension).ok_or(NoUploadId)?;
        let dialect = Dialect::of_tags(tags).filter(|_| tags.is_empty() || format == UploadFormat::Csv);
        let id = id.parse().map_err(|_: uuid::Error| NoUploadId)?;
        Ok(Self { id, owner, format, dialect: dialect.ok_or(NoUploadId)? })
    }
}

impl ToSchema for UploadId {}

impl PartialSchema for UploadId {
    fn schema() -> RefOr<Schema> {
        let separators = Separator::ALL.map(Separator::tag).map(|tag| tag.trim_end_matches('.'));
        let separators = separators.into_iter().filter(|tag| !tag.is_empty()).collect::<Vec<_>>().join("|");
        let extensions = UploadFormat::ALL.map(|format| match format {
            UploadFormat::Csv => format!("(({separators})\\.)?(decimal-comma\\.)?csv"),
            _ => format.extension().to_owned(),
        });
        let extensions = extensions.join("|");
        let hex = "[0-9a-f]";
        let object = ObjectBuilder::new().schema_type(Type::String).description(Some("An upload's identity."));
        let object = object
            .pattern(Some(format!("^{hex}{{8}}(-{hex}{{4}}){{3}}-{hex}{{12}}\\.({hex}{{32}}\\.)?({extensions})$")));
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
        for separator in Separator::ALL {
            assert_eq!(separator.character().to_string().parse(), Ok(separator));
            let id = UploadId::of_csv(Dialect { separator, decimal_comma: true });
            assert_eq!(id.to_string().parse(), Ok(id));
            assert!(id.to_string().replace(".csv", ".json").parse::<UploadId>().is_err());
        }
        let (mine, other) = (UploadOwner::named("crm"), UploadOwner::named("billing"));
        let id = UploadId::of_csv(Dialect { separator: Separator::Pipe, decimal_comma: true }).of(Some(mine));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id.of(Some(other)).key(), id.key());
        assert_ne!(id.of(None).key(), id.key());
        let (owner, text) = (mine.to_string(), id.to_string());
        for bad in
            [text.replace(&owner, &owner.to_uppercase()), text.replace(&owner, &owner[1..]), text.replace(&owner, "")]
        {
            assert!(bad.parse::<UploadId>().is_err(), "{bad}");
        }
        let id = UploadId::new(UploadFormat::Csv).to_string();
        for bad in
            [id.replace(".csv", ""), id.replace(".csv", ".xml"), format!("{id}.csv"), format!("../{id}"), id + "/"]
        {
            assert!(bad.parse::<UploadId>().is_err(), "{bad}");
        }
    }
}
