//! The link in the mail: needs no token, keeps working for as long as the report is kept, and cannot be guessed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::job::JobId;
use crate::upload::UploadId;

/// Signs links to reports and checks them. A new key revokes every link signed with the old one.
#[derive(Clone)]
pub struct LinkSigner {
    mac: Hmac<Sha256>,
}

impl LinkSigner {
    /// A signer with this key; a secret of 32 random bytes or more, in any spelling.
    pub fn new(key: &[u8]) -> Self {
        // HMAC takes a key of any length (RFC 2104, section 2).
        let mac = Hmac::new_from_slice(key).unwrap_or_else(|error| unreachable!("{error}"));
        Self { mac }
    }

    /// `{base}/r/{id}?expires={seconds}&sig={base64url}`, where `base` has no slash at its end.
    pub fn sign(&self, base: &str, id: JobId, expires_at: DateTime<Utc>) -> String {
        let expires = expires_at.timestamp();
        let signature = URL_SAFE_NO_PAD.encode(self.seal(id, expires).finalize().into_bytes());
        format!("{base}/r/{id}?expires={expires}&sig={signature}")
    }

    /// Whether this key made the signature for that job and that end, and the end is not past. `expires` is in
    /// seconds since 1970.
    pub fn verify(&self, id: JobId, expires: i64, signature: &str, now: DateTime<Utc>) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.seal(id, expires).verify_slice(&signature).is_ok() && now.timestamp() < expires
    }

    /// `{base}/uploads/{id}?bytes={bytes}&expires={seconds}&sig={base64url}`: where that upload of so many bytes is put.
    pub fn sign_upload(&self, base: &str, id: UploadId, bytes: u64, expires_at: DateTime<Utc>) -> String {
        let expires = expires_at.timestamp();
        let signature = URL_SAFE_NO_PAD.encode(self.upload_seal(id, bytes, expires).finalize().into_bytes());
        format!("{base}/uploads/{id}?bytes={bytes}&expires={expires}&sig={signature}")
    }

    /// Whether this key made the signature for that upload, that size and that end, and the end is not past.
    pub fn verify_upload(&self, id: UploadId, bytes: u64, expires: i64, signature: &str, now: DateTime<Utc>) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.upload_seal(id, bytes, expires).verify_slice(&signature).is_ok() && now.timestamp() < expires
    }

    fn upload_seal(&self, id: UploadId, bytes: u64, expires: i64) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(format!("upload link v1\n{id}\n{bytes}\n{expires}").as_bytes());
        mac
    }

    fn seal(&self, id: JobId, expires: i64) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(format!("report link v1\n{id}\n{expires}").as_bytes());
        mac
    }
}

impl std::fmt::Debug for LinkSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSigner(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::now;
    use crate::upload::UploadFormat;

    #[test]
    fn a_link_is_good_for_its_job_its_time_and_its_key() {
        let (signer, id, now) = (LinkSigner::new(b"key"), JobId::new(), now());
        let expires_at = now + chrono::Duration::hours(1);
        let link = signer.sign("https://example.org", id, expires_at);
        let signature = link.rsplit('=').next().expect("a signature");
        let expires = expires_at.timestamp();

        assert!(signer.verify(id, expires, signature, now));
        assert!(!signer.verify(JobId::new(), expires, signature, now));
        assert!(!signer.verify(id, expires + 1, signature, now));
        assert!(!signer.verify(id, expires, &signature[1..], now));
        assert!(!signer.verify(id, expires, signature, expires_at));
        assert!(!LinkSigner::new(b"another").verify(id, expires, signature, now));
    }

    #[test]
    fn an_upload_is_put_where_and_as_large_as_was_said() {
        let (signer, id, now) = (LinkSigner::new(b"key"), UploadId::new(UploadFormat::Csv), now());
        let expires_at = now + chrono::Duration::hours(1);
        let link = signer.sign_upload("https://example.org", id, 5, expires_at);
        assert!(link.starts_with(&format!("https://example.org/uploads/{id}?bytes=5&expires=")), "{link}");
        let (signature, expires) = (link.rsplit('=').next().expect("a signature"), expires_at.timestamp());

        assert!(signer.verify_upload(id, 5, expires, signature, now));
        assert!(!signer.verify_upload(UploadId::new(UploadFormat::Csv), 5, expires, signature, now));
        assert!(!signer.verify_upload(id, 6, expires, signature, now));
        assert!(!signer.verify_upload(id, 5, expires + 1, signature, now));
        assert!(!signer.verify_upload(id, 5, expires, signature, expires_at));
    }
}
