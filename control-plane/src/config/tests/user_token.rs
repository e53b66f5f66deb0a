//! `credential.user_token`.

use super::*;

/// What the reader makes of the good file whose server has this credential.
fn user_token(keys: &str) -> UserToken {
    let text = format!("{GOOD}    credential: {{ user_token: {{ {keys} }} }}\n");
    let mut config = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
    match config.servers.remove(&ServerName::new("demo")).unwrap().credential {
        CredentialMode::UserToken(settings) => settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let settings = user_token("check_url: https://api.github.com/user");
    assert_eq!(settings.label, "access token");
    assert_eq!((settings.help_url, settings.check_url.as_str()), (None, "https://api.github.com/user"));
    assert_eq!(settings.header, CredentialHeader::bearer());
}

#[test]
fn everything_can_be_set() {
    let settings = user_token(
        "label: API key, help_url: 'https://example.com/keys', check_url: 'http://localhost:1/me', \
         header: X-Api-Key, scheme: key",
    );
    assert_eq!(settings.label, "API key");
    assert_eq!(settings.help_url.unwrap().as_str(), "https://example.com/keys");
    assert_eq!(settings.header.with(&"t".to_owned().into()).value, "key t");
    assert_eq!(settings.header.name, "x-api-key");
}

#[test]
fn users_must_be_able_to_log_in_to_replace_theirs() {
    let app = "client_id: portcullis\n    client_secret: { env: CORP }";
    assert!(GOOD.contains(app));
    let text = format!("{GOOD}    credential: {{ user_token: {{ check_url: 'https://a.example' }} }}\n");
    let problems = read(&text.replace(app, "registration: dynamic")).unwrap_err().to_string();
    assert!(
        problems
            .contains("servers.demo: `credential: { user_token: … }` needs a provider with a `client_id`"),
        "{problems}"
    );
}
