//! How long a document may be kept: what its server says (RFC 9111), within bounds of our own.

use std::time::Duration;

use http::{HeaderMap, header};

/// However short the server would have it: so often at most is it asked.
pub(super) const SHORTEST: Duration = Duration::from_mins(1);
/// However long the server would have it: so late at most does a change take effect.
pub(super) const LONGEST: Duration = Duration::from_hours(24);
/// Where the server says nothing.
pub(super) const USUAL: Duration = Duration::from_mins(10);

/// How long an answer with these headers is fresh, from now on.
pub(super) fn fresh_for(headers: &HeaderMap) -> Duration {
    let mut said = None;
    for value in headers.get_all(header::CACHE_CONTROL) {
        // What is no text may be anything.
        let Ok(value) = value.to_str() else { return SHORTEST };
        for directive in value.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let seconds = || argument.trim().trim_matches('"').parse().unwrap_or(0);
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" | "private" => return SHORTEST,
                // Given twice, the shorter one counts (RFC 9111 section 4.2.1).
                "max-age" => said = Some(said.unwrap_or(u64::MAX).min(seconds())),
                _ => {}
            }
        }
    }
    let age =
        headers.get(header::AGE).and_then(|value| value.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    said.map_or(USUAL, |seconds| Duration::from_secs(seconds.saturating_sub(age)).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(headers: &[(header::HeaderName, &'static [u8])]) -> Duration {
        let pair = |(name, value): &(header::HeaderName, &'static [u8])| {
            (name.clone(), HeaderValue::from_bytes(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(pair) {
            map.append(name, value);
        }
        fresh_for(&map)
    }

    fn control(value: &'static str) -> Duration {
        of(&[(header::CACHE_CONTROL, value.as_bytes())])
    }

    #[test]
    fn the_server_decides_within_our_bounds() {
        assert_eq!(of(&[]), USUAL);
        assert_eq!(control("public"), USUAL);
        assert_eq!(control("max-age=3600"), Duration::from_hours(1));
        assert_eq!(control("public, Max-Age=\"3600\", immutable"), Duration::from_hours(1));
        assert_eq!(control("max-age=60"), SHORTEST);
        assert_eq!(control("max-age=61"), Duration::from_secs(61));
        assert_eq!(control("max-age=0"), SHORTEST);
        assert_eq!(control("max-age=86400"), LONGEST);
        assert_eq!(control("max-age=86401"), LONGEST);
    }

    #[test]
    fn what_says_not_to_keep_it_is_kept_as_short_as_possible() {
        for value in ["no-store", "no-cache", "private", "max-age=3600, no-store", "No-Store , max-age=3600"]
        {
            assert_eq!(control(value), SHORTEST, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_not_fresh() {
        for value in ["max-age", "max-age=", "max-age=-1", "max-age=soon", "max-age=99999999999999999999"] {
            assert_eq!(control(value), SHORTEST, "{value}");
        }
        assert_eq!(of(&[(header::CACHE_CONTROL, b"max-age=3600, \xff")]), SHORTEST);
    }

    #[test]
    fn of_several_the_shortest_counts() {
        assert_eq!(control("max-age=3600, max-age=120"), Duration::from_mins(2));
        let twice =
            [(header::CACHE_CONTROL, b"max-age=120".as_slice()), (header::CACHE_CONTROL, b"max-age=3600")];
        assert_eq!(of(&twice), Duration::from_mins(2));
    }

    #[test]
    fn the_age_that_a_cache_has_given_it_counts() {
        let aged = |age| of(&[(header::CACHE_CONTROL, b"max-age=3600"), (header::AGE, age)]);
        assert_eq!(aged(b"600"), Duration::from_mins(50));
        assert_eq!(aged(b"7200"), SHORTEST);
        assert_eq!(aged(b"old"), Duration::from_hours(1));
    }
}
