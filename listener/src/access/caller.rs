//! A caller: a name, and rights.

use std::sync::Arc;

use jobs::UploadOwner;

use super::rights::{Right, Rights};

/// Who holds a token that has no name.
pub(super) const DEFAULT: &str = "default";

/// What callers are called where nobody asks who they are.
const ANYBODY: &str = "anybody";

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    name: Arc<str>,
    rights: Rights,
}

impl Caller {
    /// The caller of this name.
    pub(crate) fn new(name: &str, rights: Rights) -> Self {
        Self { name: name.into(), rights }
    }

    /// Who calls where nobody asks.
    pub(crate) fn anybody() -> Self {
        Self::new(ANYBODY, Rights::all())
    }

    /// Whether callers with names of their own may not have this one.
    pub(super) fn is_reserved(name: &str) -> bool {
        matches!(name, DEFAULT | ANYBODY)
    }

    /// Who holds a token of this name. The operator's own token is `default`.
    pub(super) fn holder(name: &str, rights: Rights) -> Self {
        let own = if name == DEFAULT { Rights::all() } else { Rights::default() };
        Self::new(name, rights.and(own))
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

    /// A caller's key as another's cannot be. Where callers have no names of their own, it is as it was before there were any.
    pub(crate) fn own(&self, key: String) -> String {
        if self.is_nameless() { key } else { format!("{}\n{key}", self.name) }
    }

    /// Whose the uploads are that this caller begins: nobody's where callers have no names of their own.
    pub(crate) fn upload_owner(&self) -> Option<UploadOwner> {
        (!self.is_nameless()).then(|| UploadOwner::named(&self.name))
    }

    /// Whether it is the caller that a server has which was told of no names.
    fn is_nameless(&self) -> bool {
        self.may(Right::Admin) && Self::is_reserved(self.name())
    }
}
