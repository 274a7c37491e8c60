//! A caller: a name, and rights.

use std::sync::Arc;

use jobs::UploadOwner;

use super::rights::{Right, Rights};

/// The caller who holds a token that has no name.
pub(super) const DEFAULT: &str = "default";

/// The name of all callers of a server without tokens.
pub(super) const ANYBODY: &str = "anybody";

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    name: Arc<str>,
    rights: Rights,
    /// Whether it is the caller of a server that knew no names.
    nameless: bool,
}

impl Caller {
    /// The caller of this name.
    pub(crate) fn new(name: &str, rights: Rights) -> Self {
        Self { name: name.into(), rights, nameless: false }
    }

    /// The caller of a server without tokens.
    pub(crate) fn anybody() -> Self {
        Self::nameless(ANYBODY)
    }

    fn nameless(name: &str) -> Self {
        Self { name: name.into(), rights: Rights::all(), nameless: true }
    }

    /// Whether an issuer may not give its callers this name.
    pub(super) fn is_reserved(name: &str) -> bool {
        matches!(name, DEFAULT | ANYBODY)
    }

    /// The caller who holds a token of this name. The operator's is `default`.
    pub(crate) fn holder(name: &str, rights: Rights) -> Self {
        if name == DEFAULT { Self::nameless(DEFAULT) } else { Self::new(name, rights) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rights(&self) -> Rights {
        self.rights
    }

    pub(crate) fn may(&self, right: Right) -> bool {
        self.rights.include(right)
    }

    /// A key that no other caller can have. Of a caller without a name it is the key alone, as before callers had names.
    pub(crate) fn own(&self, key: String) -> String {
        if self.nameless { key } else { format!("{}\n{key}", self.name) }
    }

    /// The owner of the uploads that this caller begins; none for a caller without a name.
    pub(crate) fn upload_owner(&self) -> Option<UploadOwner> {
        (!self.nameless).then(|| UploadOwner::named(&self.name))
    }
}
