//! Callers by the ARNs that AWS reports, and their rights.

use std::str::FromStr;

use super::caller::Caller;
use super::rights::{Right, Rights, UnknownRight};

/// IAM users and roles that have rights.
///
/// Written as `right ARN`, one a line or separated by commas; `*` in an ARN stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principals(Vec<(Right, String)>);

/// What is no list of principals.
#[derive(Debug, thiserror::Error)]
pub enum BadPrincipals {
    /// An entry is not a right and an ARN.
    #[error("{0:?} is not like `admin arn:aws:iam::123456789012:role/Ops*`")]
    Entry(String),
    /// An entry names a session of a role, roles by a pattern with a path, or a federated user.
    #[error(
        "no caller has the ARN {0:?}: rights are neither of a role's session, nor of roles by a pattern with a path, nor of a federated user; write it like \
         `admin arn:aws:iam::123456789012:role/Ops*`"
    )]
    Unknowable(String),
    /// An entry gives a right that there is not.
    #[error(transparent)]
    Right(#[from] UnknownRight),
}

impl FromStr for Principals {
    type Err = BadPrincipals;

    fn from_str(text: &str) -> Result<Self, BadPrincipals> {
        let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| match entry.split_once(char::is_whitespace) {
            Some((right, arn)) if arn.trim_start().starts_with("arn:") => {
                let pattern =
                    pattern(arn.trim_start()).ok_or_else(|| BadPrincipals::Unknowable(arn.trim_start().into()))?;
                Ok((right.parse()?, pattern))
            }
            _ => Err(BadPrincipals::Entry(entry.into())),
        };
        entries.map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl Principals {
    /// The caller with the ARN that AWS reports; nothing for a federated user. The name of one is chosen by whoever asks for its
    /// credentials (`GetFederationToken`), so that two of one name cannot be told apart.
    pub(super) fn caller(&self, arn: &str) -> Option<Caller> {
        if is_federated(arn) {
            return None;
        }
        let principal = principal(arn);
        let role = role(principal);
        let is_meant =
            |pattern: &str| matches(pattern, principal) || role.as_ref().is_some_and(|it| matches(pattern, it));
        let rights: Rights = self.0.iter().filter(|(_, pattern)| is_meant(pattern)).map(|(right, _)| *right).collect();
        Some(Caller::new(principal, rights))
    }
}

/// The pattern of the ARNs as callers have them here. Nothing if it depends on a session, or on the path of several roles.
fn pattern(arn: &str) -> Option<String> {
    if is_federated(arn) {
        return None;
    }
    if let Some((account, role)) = arn.split_once(":assumed-role/") {
        let (name, session) = role.split_once('/').unwrap_or((role, "*"));
        return (session == "*").then(|| format!("{account}:assumed-role/{name}"));
    }
    match arn.split_once(":role/").and_then(|(account, role)| Some((account, role.rsplit_once('/')?))) {
        // An account has no two roles of one name.
        Some((account, (path, name))) => {
            (!path.contains('*') && !name.contains('*')).then(|| format!("{account}:role/{name}"))
        }
        None => Some(arn.to_owned()),
    }
}

fn is_federated(arn: &str) -> bool {
    arn.contains(":federated-user/")
}

/// The user or role of an ARN: the name of a role's session is the caller's to choose.
fn principal(arn: &str) -> &str {
    let session = if arn.contains(":assumed-role/") { arn.rsplit_once('/') } else { None };
    session.map_or(arn, |(role, _)| role)
}

/// The ARN that IAM shows of a role which was assumed, as far as that is known: without its path.
fn role(principal: &str) -> Option<String> {
    let (account, name) = principal.split_once(":assumed-role/")?;
    Some(format!("{}:role/{name}", account.replacen(":sts:", ":iam:", 1)))
}

/// Whether a text is like a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_caller_whatever_its_sessions_are_called() {
        let role = "arn:aws:sts::123456789012:assumed-role/Billing";
        assert_eq!(principal(&format!("{role}/i-0abc")), role);
        assert_eq!(principal(&format!("{role}/other")), role);
        let user = "arn:aws:iam::123456789012:user/office/jane";
        assert_eq!(principal(user), user);
    }

    #[test]
    fn principals_have_the_rights_that_their_arn_is_given() {
        let given = "admin arn:aws:iam::123456789012:role/Ops*,\nadmin  arn:aws:iam::123456789012:user/office/*-admin";
        let principals: Principals = given.parse().expect("principals");
        for (arn, admin) in [
            ("arn:aws:sts::123456789012:assumed-role/OpsTeam/session", true),
            ("arn:aws:iam::123456789012:user/office/jane-admin", true),
            ("arn:aws:sts::123456789012:assumed-role/Billing/Ops", false),
            ("arn:aws:sts::999999999999:assumed-role/OpsTeam/session", false),
            ("arn:aws:iam::123456789012:user/office/jane", false),
            ("arn:aws:iam::123456789012:user/jane-admin", false),
        ] {
            let caller = principals.caller(arn).expect("a caller");
            assert_eq!(caller.may(Right::Admin), admin, "{arn}");
        }
        let sso = "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123";
        for (given, caller) in [
            (format!("iam::123456789012:{sso}"), "AWSReservedSSO_Admin_0123/jane"),
            ("sts::123456789012:assumed-role/Ops/*".into(), "Ops/jane"),
            ("sts::123456789012:assumed-role/Ops".into(), "Ops/jane"),
        ] {
            let principals: Principals = format!("admin arn:aws:{given}").parse().expect("principals");
            let arn = format!("arn:aws:sts::123456789012:assumed-role/{caller}");
            assert!(principals.caller(&arn).expect("a caller").may(Right::Admin), "{given}");
        }
        for unknowable in [
            "sts::123456789012:assumed-role/Ops/jane",
            "iam::123456789012:role/office/Ops*",
            "iam::123456789012:role/*/Ops",
            "sts::123456789012:federated-user/jane",
            "sts::123456789012:federated-user/*",
        ] {
            let refused = format!("admin arn:aws:{unknowable}").parse::<Principals>();
            assert!(matches!(refused, Err(BadPrincipals::Unknowable(_))), "{unknowable}: {refused:?}");
        }
        for bad in ["admin", "admin *", "publish arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/x"]
        {
            assert!(bad.parse::<Principals>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_federated_user_is_no_caller() {
        let everybody: Principals = "admin arn:aws:*".parse().expect("principals");
        for arn in ["arn:aws:sts::123456789012:federated-user/jane", "arn:aws-cn:sts::123456789012:federated-user/x"] {
            assert!(everybody.caller(arn).is_none(), "{arn}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, fits) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*b*b*", "ab", false),
            ("*b*b*", "abab", true),
            ("ab*ba", "aba", false),
            ("a**c", "axc", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} and {text}");
        }
    }
}
