//! The header `Range` (RFC 9110, section 14), in the form that `ServeFile` reads.

use axum::http::header::RANGE;
use axum::http::{HeaderMap, HeaderValue};

/// The one range of bytes that is asked for, within a file of so many; one that begins behind its end if there is no such
/// range. Nothing if the header is to be ignored: for several ranges, another unit, and what is no range.
pub(super) fn within(headers: &HeaderMap, size: u64) -> Option<HeaderValue> {
    let mut lines = headers.get_all(RANGE).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    let (unit, bounds) = line.to_str().ok()?.split_once('=')?;
    let (first, last) = bounds.split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
    let (first, last) = match (first, last) {
        ("", length) => (size.saturating_sub(number(length)?), u64::MAX),
        (first, "") => (number(first)?, u64::MAX),
        (first, last) => (number(first)?, number(last)?),
    };
    (first <= last).then_some(())?;
    let range = if first < size { format!("bytes={first}-{}", last.min(size - 1)) } else { format!("bytes={size}-") };
    HeaderValue::from_str(&range).ok()
}

/// Any number of digits. No file has more bytes than the largest number.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(range: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).expect("a value"))]);
        within(&headers, 10).map(|range| range.to_str().expect("text").to_owned())
    }

    #[test]
    fn every_range_that_there_is_fits_the_file() {
        for (asked, within) in [
            ("bytes=0-3", "bytes=0-3"),
            ("Bytes=0-3", "bytes=0-3"),
            ("bytes=2-", "bytes=2-9"),
            ("bytes=9-9", "bytes=9-9"),
            ("bytes=0-10", "bytes=0-9"),
            ("bytes=0-99999999999999999999999", "bytes=0-9"),
            ("bytes=00000-00001", "bytes=0-1"),
            ("bytes=-4", "bytes=6-9"),
            ("bytes=-10", "bytes=0-9"),
            ("bytes=-65536", "bytes=0-9"),
            ("bytes=-99999999999999999999999", "bytes=0-9"),
            ("bytes=10-", "bytes=10-"),
            ("bytes=10-12", "bytes=10-"),
            ("bytes=99999999999999999999999-", "bytes=10-"),
            ("bytes=-0", "bytes=10-"),
        ] {
            assert_eq!(read(asked).as_deref(), Some(within), "{asked}");
        }
    }

    #[test]
    fn what_is_not_one_range_of_bytes_is_ignored() {
        for asked in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=x",
            "bytes=3-1",
            "bytes= 0-1",
            "bytes=0 -1",
            "bytes=0--1",
            "bytes=+0-1",
            "bytes=0-3,5-6",
            "rows=0-3",
            "0-3",
        ] {
            assert_eq!(read(asked), None, "{asked}");
        }
        let range = || (RANGE, HeaderValue::from_static("bytes=0-3"));
        let mut headers = HeaderMap::from_iter([range()]);
        headers.append(RANGE, range().1);
        assert_eq!(within(&headers, 10), None);
    }
}
