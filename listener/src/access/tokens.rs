//! Bearer tokens by the names of their callers.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use super::caller::{ANYBODY, Caller, DEFAULT};
use super::rights::{Rights, UnknownRight};

/// How often the file of tokens is looked at while it has the tokens that are shown.
const LOOK: Duration = Duration::from_secs(1);

/// The longest name of a caller, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// What stands before the digest of a token in place of the token.
const DIGEST_PREFIX: &str = "sha256:";

/// The shortest token, in characters: a shorter one can be guessed.
const MIN_TOKEN_CHARS: usize = 16;

/// What a token must be like, for errors.
const RULE: &str = "a token has at least 16 characters, all of them from A-Z a-z 0-9 - . _ ~ + / and = at its end; \
                    `openssl rand -hex 32` makes one";

/// Tokens, each with its caller. A caller has two while its token is rotated.
///
/// Written as `name token`, one a line or separated by commas. Rights of the caller may follow, as in `ops token admin`.
/// `sha256:` and 64 hexadecimal digits stand for the token with that digest. A line that starts with `#` is a comment.
#[derive(Clone, Default)]
pub struct Tokens {
    holders: Vec<(Caller, [u8; 32])>,
}

/// Invalid tokens. The message contains no token.
#[derive(Debug, thiserror::Error)]
pub enum BadTokens {
    /// An entry is not a name and a token.
    #[error(
        "{0} is not `name token` or `name token right`: a name has 1 to 64 letters, digits and . _ @ - only, {RULE}"
    )]
    Entry(Place),
    /// An entry names an unknown right.
    #[error("{0} names an unknown right: only `admin` may follow the token")]
    Right(Place),
    /// An entry has the name of the callers of a server without tokens.
    #[error("{0} has the name `anybody`, under which a server without tokens keeps its jobs: give the caller another")]
    Reserved(Place),
    /// Two callers have the same token.
    #[error("{0} has the token of another caller: give each a separate token")]
    Twice(Place),
    /// The token of the caller `default` breaks the rule.
    #[error("the one of --token breaks the rule that {RULE}")]
    Own,
    /// There is none.
    #[error("there is no token: write `name token`, several separated by commas")]
    None,
    /// There is none in the file.
    #[error("{0} has no token. Add one: `echo \"crm $(openssl rand -hex 32)\" >> {0}`")]
    EmptyFile(String),
    /// The file is not a list of tokens.
    #[error("{path}: {error}")]
    InFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: Box<BadTokens>,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where an invalid entry is: its line in a file, or its number in an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Counted from 1, with comments and empty lines.
    Line(usize),
    /// Counted from 1.
    Entry(usize),
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Entry(number) => write!(f, "entry {number}"),
        }
    }
}

impl Tokens {
    /// These and one more, which is not held to the rule.
    #[must_use]
    pub fn with(mut self, name: &str, token: &str) -> Self {
        self.holders.push((Caller::holder(name, Rights::default()), digest(token)));
        self
    }

    /// The token of the caller `default`, and others as they are written; both may be absent.
    pub fn given(own: Option<&str>, others: Option<&str>) -> Result<Self, BadTokens> {
        let mut tokens = match own {
            Some(token) if is_token(token) => Self::default().with(DEFAULT, token),
            Some(_) => return Err(BadTokens::Own),
            None => Self::default(),
        };
        if let Some(text) = others {
            let others = Self::read(entries(text), &tokens)?;
            tokens.holders.extend(others.holders);
        }
        Ok(tokens)
    }

    /// The tokens of a file, none of which another caller has among `fixed`.
    fn of_file(path: &Path, fixed: &Self) -> Result<Self, BadTokens> {
        let refused = |source| BadTokens::File { path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(refused)?;
        Self::read(lines(&text), fixed).map_err(|error| match (path.display().to_string(), error) {
            (path, BadTokens::None) => BadTokens::EmptyFile(path),
            (path, error) => BadTokens::InFile { path, error: Box::new(error) },
        })
    }

    /// Reads entries, none of which has the token of another caller here or among `fixed`.
    fn read<'a>(entries: impl Iterator<Item = (Place, &'a str)>, fixed: &Self) -> Result<Self, BadTokens> {
        let mut holders: Vec<(Caller, [u8; 32])> = Vec::new();
        for (place, entry) in entries {
            let (caller, digest) = read_entry(place, entry)?;
            let mut known = fixed.holders.iter().chain(&holders);
            if known.any(|(other, known)| *known == digest && *other != caller) {
                return Err(BadTokens::Twice(place));
            }
            holders.push((caller, digest));
        }
        if holders.is_empty() { Err(BadTokens::None) } else { Ok(Self { holders }) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// The caller who holds a token. It is compared with every one, by digests, in constant time.
    fn holder(&self, token: &str) -> Option<Caller> {
        let shown = digest(token);
        let mut found = None;
        for (caller, digest) in &self.holders {
            if bool::from(digest.ct_eq(&shown)) {
                found = Some(caller.clone());
            }
        }
        found
    }
}

impl FromStr for Tokens {
    type Err = BadTokens;

    fn from_str(text: &str) -> Result<Self, BadTokens> {
        Self::read(entries(text), &Self::default())
    }
}

/// The entries of a text, each with its line.
fn lines(text: &str) -> impl Iterator<Item = (Place, &str)> {
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.starts_with('#'));
    let entries =
        lines.flat_map(|(number, line)| line.split(',').map(move |entry| (Place::Line(number), entry.trim())));
    entries.filter(|(_, entry)| !entry.is_empty())
}

/// The entries of a text, each with its number.
fn entries(text: &str) -> impl Iterator<Item = (Place, &str)> {
    (1..).zip(lines(text)).map(|(number, (_, entry))| (Place::Entry(number), entry))
}

fn read_entry(place: Place, entry: &str) -> Result<(Caller, [u8; 32]), BadTokens> {
    let no_entry = || BadTokens::Entry(place);
    let (name, rest) = entry.split_once(char::is_whitespace).ok_or_else(no_entry)?;
    let (token, rights) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), ""));
    let digest = match token.strip_prefix(DIGEST_PREFIX) {
        Some(digits) => read_digest(digits).ok_or_else(no_entry)?,
        None if is_token(token) => digest(token),
        None => return Err(no_entry()),
    };
    let rights = rights.parse().map_err(|_: UnknownRight| BadTokens::Right(place))?;
    if name == ANYBODY {
        return Err(BadTokens::Reserved(place));
    }
    if is_name(name) { Ok((Caller::holder(name, rights), digest)) } else { Err(no_entry()) }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    name.len() <= MAX_NAME_BYTES && name.bytes().all(fits)
}

/// What RFC 6750 lets a bearer token be made of, if it is long enough.
fn is_token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    body.len() >= MIN_TOKEN_CHARS && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn read_digest(digits: &str) -> Option<[u8; 32]> {
    let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate().filter(|_| is_hex) {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    is_hex.then_some(digest)
}

/// The tokens that are valid now: some that stay, and those of a file that may change.
pub struct TokenBook {
    fixed: Arc<Tokens>,
    file: Option<Arc<TokenFile>>,
}

impl From<Tokens> for TokenBook {
    fn from(fixed: Tokens) -> Self {
        Self { fixed: Arc::new(fixed), file: None }
    }
}

impl TokenBook {
    /// These tokens, and those of a file, which is read again when it has changed: within a second, and before a token
    /// that is not in it is refused.
    pub fn with_file(fixed: Tokens, path: &Path) -> Result<Self, BadTokens> {
        let fixed = Arc::new(fixed);
        Ok(Self { file: Some(Arc::new(TokenFile::open(path, fixed.clone())?)), fixed })
    }

    /// The caller who holds a token.
    pub(super) async fn holder(&self, token: &str) -> Option<Caller> {
        let fixed = self.fixed.holder(token);
        let Some(file) = &self.file else { return fixed };
        let filed = file.holder(token).await;
        fixed.or(filed)
    }
}

struct TokenFile {
    path: PathBuf,
    /// Those that none of the file may be.
    fixed: Arc<Tokens>,
    tokens: RwLock<Arc<Tokens>>,
    look: Arc<Mutex<Look>>,
}

/// The last look at the file.
struct Look {
    at: Instant,
    /// What was seen; nothing if the file could not be read.
    saw: Option<Stamp>,
}

/// Identifies a version of a file.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
    /// Another number where one file was put in another's place.
    inode: u64,
}

impl TokenFile {
    fn open(path: &Path, fixed: Arc<Tokens>) -> Result<Self, BadTokens> {
        let refused = |source| BadTokens::File { path: path.to_owned(), source };
        let saw = Some(stamp(path).map_err(refused)?);
        let tokens = Tokens::of_file(path, &fixed)?;
        let look = Arc::new(Mutex::new(Look { at: Instant::now(), saw }));
        Ok(Self { path: path.to_owned(), fixed, tokens: RwLock::new(Arc::new(tokens)), look })
    }

    async fn holder(self: &Arc<Self>, token: &str) -> Option<Caller> {
        if let Ok(look) = self.look.clone().try_lock_owned()
            && look.at.elapsed() >= LOOK
        {
            self.look_again(look).await;
        }
        let known = self.current().holder(token);
        if known.is_none() {
            // It may have come a moment ago.
            self.look_again(self.look.clone().lock_owned().await).await;
            return self.current().holder(token);
        }
        known
    }

    fn current(&self) -> Arc<Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file if it has changed, off the runtime's threads.
    async fn look_again(self: &Arc<Self>, look: OwnedMutexGuard<Look>) {
        let file = self.clone();
        if let Err(error) = spawn_blocking(move || file.read_again(look)).await {
            tracing::error!(%error, "cannot read the tokens again");
        }
    }

    /// While the file cannot be read, the previous tokens stay valid.
    fn read_again(&self, mut look: OwnedMutexGuard<Look>) {
        look.at = Instant::now();
        let saw = stamp(&self.path).ok();
        if saw == look.saw {
            return;
        }
        match Tokens::of_file(&self.path, &self.fixed) {
            Ok(tokens) => {
                tracing::info!(file = %self.path.display(), tokens = tokens.holders.len(), "read the tokens again");
                *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
            }
            Err(error) => tracing::error!(%error, "cannot read the tokens again; the previous ones stay valid"),
        }
        look.saw = saw;
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok(Stamp { modified: metadata.modified()?, bytes: metadata.len(), inode })
}

#[cfg(test)]
mod tests {
    use super::super::rights::Right;
    use super::*;

    fn name(tokens: &Tokens, token: &str) -> Option<String> {
        tokens.holder(token).map(|caller| caller.name().to_owned())
    }

    #[test]
    fn a_token_names_its_caller_and_the_callers_rights() {
        let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"; // of "secret"
        let text = format!(
            "# who may call\ncrm  abc-1-of-16-chars\ncrm\tabc-2-of-16-chars\n\nbilling 16-characters-xy==,\
             ops@example.org sha256:{digest}  admin\ndefault the-operators-own-2\n"
        );
        let tokens: Tokens = text.parse().expect("tokens");
        for (token, name, admin) in [
            ("abc-1-of-16-chars", "crm", false),
            ("abc-2-of-16-chars", "crm", false),
            ("16-characters-xy==", "billing", false),
            ("secret", "ops@example.org", true),
            ("the-operators-own-2", "default", true),
        ] {
            let caller = tokens.holder(token).expect(token);
            assert_eq!((caller.name(), caller.may(Right::Admin)), (name, admin), "{token}");
        }
        for token in ["", "abc", "abc-1-of-16-chars ", "abc-1-of-16-charss", "ABC-1-of-16-chars", "crm", digest] {
            assert_eq!(name(&tokens, token), None, "{token}");
        }
    }

    #[test]
    fn what_is_no_list_of_tokens_is_refused_without_a_token_in_the_words() {
        let good = "good-enough-token";
        for (text, said) in [
            (String::new(), "there is no token"),
            ("# nobody\n".into(), "there is no token"),
            ("crm".into(), "entry 1 is"),
            ("crm s3cret".into(), "entry 1 is"),
            (format!("crm {good}\nbilling s3cret s3cret"), "entry 2 is"),
            (format!("crm {good}\nbilling s3cret-of-16-chars s3cret"), "entry 2 names an unknown right"),
            (format!("crm {good} admin,billing x-{good} s3cr"), "entry 2 names an unknown right"),
            (format!("crm {good},bill:ing s3cret-of-16-chars"), "entry 2 is"),
            (format!("crm {good},billing {good}"), "entry 2 has"),
            (format!("crm {good},anybody s3cret-of-16-chars admin"), "entry 2 has the name `anybody`"),
            (format!("crm {good},crm {good} admin"), "entry 2 has"),
            ("crm s3crét-of-16-chars".into(), "entry 1 is"),
            ("crm sha256:s3cret".into(), "entry 1 is"),
        ] {
            let error = text.parse::<Tokens>().err().expect("refused").to_string();
            assert!(error.starts_with(said) && !error.contains("s3cr"), "{text}: {error}");
        }
        for own in ["", " ", "a", "fifteen-letters", "sixteen letters!", "sixteen-lettersé", "===============a="] {
            let error = Tokens::given(Some(own), None).err().expect("refused").to_string();
            assert!(error.contains("at least 16 characters"), "{own}: {error}");
        }
        assert!(Tokens::given(Some(good), None).is_ok());
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_has_changed_and_kept_to_while_it_cannot_be_read() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("tokens");
        fs::write(&path, "crm old-token-of-16-c").expect("written");
        let book =
            TokenBook::with_file(Tokens::default().with("default", "fixed-of-16-chars"), &path).expect("it opens");
        let holds = async |token| book.holder(token).await.is_some();
        assert!(
            holds("old-token-of-16-c").await && holds("fixed-of-16-chars").await && !holds("new-token-of-16-c").await
        );

        fs::write(&path, "crm old-token-of-16-c\ncrm new-token-of-16-c").expect("written");
        assert!(holds("new-token-of-16-c").await, "at once");
        assert!(holds("old-token-of-16-c").await && holds("fixed-of-16-chars").await);

        for nonsense in ["nonsense", "crm nonsense-of-16-chars\nother fixed-of-16-chars"] {
            fs::write(&path, nonsense).expect("written");
            assert!(!holds("nonsense-of-16-chars").await);
        }
        assert!(holds("new-token-of-16-c").await && holds("old-token-of-16-c").await, "those of before");

        fs::remove_file(&path).expect("removed");
        assert!(!holds("other-token-of-16-c").await && holds("new-token-of-16-c").await, "those of before");

        fs::write(&path, "crm new-token-of-16-c").expect("written");
        assert!(!holds("other-token-of-16-c").await, "an unknown token has the file read again");
        assert!(holds("new-token-of-16-c").await && !holds("old-token-of-16-c").await);
    }

    #[test]
    fn a_file_that_is_refused_is_named_with_the_line() {
        let error = TokenBook::with_file(Tokens::default(), Path::new("/nowhere/tokens")).err().expect("refused");
        assert!(error.to_string().starts_with("cannot read /nowhere/tokens: "), "{error}");
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("tokens");
        let fixed = Tokens::default().with(DEFAULT, "fixed-of-16-chars");
        let shown = path.display();
        for (text, said) in [
            ("# nobody\n", format!("{shown} has no token. Add one: `echo ")),
            ("# a comment\n\ncrm", format!("{shown}: line 3 is not `name token`")),
            ("\ncrm token-of-16-chars x", format!("{shown}: line 2 names an unknown right")),
            ("crm token-of-16-chars\nx fixed-of-16-chars", format!("{shown}: line 2 has the token of another caller")),
        ] {
            fs::write(&path, text).expect("written");
            let error = TokenBook::with_file(fixed.clone(), &path).err().expect("refused").to_string();
            assert!(error.starts_with(&said), "{text:?}: {error}");
        }
        fs::write(&path, "default fixed-of-16-chars").expect("written");
        assert!(TokenBook::with_file(fixed, &path).is_ok(), "the same caller");
    }
}
