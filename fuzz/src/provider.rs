//! What providers answer. A provider is trusted with its users, and with nothing else.

use portcullis_control_plane::provider::fuzzing;

use crate::text;

/// The token endpoint's answer: a status and a body.
pub(crate) fn tokens(data: &[u8]) {
    let Some((status, body)) = data.split_first() else { return };
    let status = match status % 4 {
        0 | 1 => 200,
        2 => 400,
        _ => 503,
    };
    if let Some(access_token) = fuzzing::token_answer(status, body) {
        assert_eq!(status, 200, "tokens in an error");
        assert!(!access_token.is_empty(), "an empty token");
        assert!(access_token.bytes().all(|byte| byte.is_ascii_graphic()), "a token that fits in no header");
        let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        assert!(answer["error"].as_str().is_none_or(str::is_empty), "an error that was not heard");
    }
}

/// ID tokens, whose signature must be wrong; their claims, as if they were signed; and userinfo, behind a line break.
pub(crate) fn claims(data: &[u8]) {
    if let Some(text) = text(data) {
        fuzzing::id_token_header(text);
    }
    let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (claims, userinfo) = data.split_at(cut);
    if let Some(subject) = fuzzing::claims(claims, userinfo.get(1..).unwrap_or_default()) {
        assert!((1..=255).contains(&subject.len()) && subject.is_ascii(), "{subject:?}");
        let said: serde_json::Value = serde_json::from_slice(claims).unwrap_or_default();
        assert_eq!(said["sub"], subject.as_str(), "another user");
        assert_eq!(said["iss"], fuzzing::ISSUER, "another's token");
        assert_eq!(said["nonce"], fuzzing::NONCE, "another login's token");
        let audience = &said["aud"];
        let ours = audience == fuzzing::CLIENT
            || audience.as_array().is_some_and(|all| all.iter().any(|one| one == fuzzing::CLIENT));
        assert!(ours, "for somebody else");
        assert!(said["exp"].as_f64().is_some_and(|exp| exp > fuzzing::NOW - 60.0), "it has expired");
    }
}
