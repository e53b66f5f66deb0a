use proptest::prelude::*;

use super::*;

fn own() -> Vec<Origin> {
    vec![Url::parse("http://localhost:10000").unwrap().origin()]
}

fn registered(texts: &[&str]) -> Vec<RedirectUri> {
    texts.iter().map(|text| RedirectUri::parse(text, &own()).unwrap()).collect()
}

fn refusal(text: &str) -> RedirectUriError {
    RedirectUri::parse(text, &own()).expect_err(text)
}

#[test]
fn what_clients_really_register_is_accepted() {
    registered(&[
        "https://claude.ai/api/mcp/auth_callback",
        "https://vscode.dev/redirect",
        "http://127.0.0.1:33418/",
        "http://127.0.0.1:33418",
        "http://localhost:3334/oauth/callback",
        "http://localhost:3030/callback",
        "http://[::1]:8080/cb",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "com.example.app:/cb",
    ]);
}

#[test]
fn t01_only_a_registered_redirect_uri_is_chosen() {
    let registered =
        registered(&["https://app.example/cb", "http://127.0.0.1:3334/cb", "http://[::1]:8080/cb"]);
    let chosen = |text| RedirectTarget::choose(&registered, text, &own()).is_some();
    assert!(chosen("https://app.example/cb"));
    assert!(chosen("http://127.0.0.1:3334/cb"));
    assert!(chosen("http://127.0.0.1:50000/cb"));
    assert!(chosen("http://127.0.0.1/cb"));
    assert!(chosen("http://[::1]:8080/cb"));
    assert!(chosen("http://[::1]:50000/cb"));
    assert!(chosen("http://[::1]/cb"));
    for text in [
        "https://app.example/cb/",
        "https://app.example/cb?x=1",
        "https://app.example:8443/cb",
        "https://app.example/cb/%2e%2e/x",
        "https://app.example/cb/../cb",
        "https://APP.example/cb",
        "https://app.example@evil.example/cb",
        "https://app.example/cb#x",
        "http://127.0.0.1:3334/other",
        "http://127.0.0.1:3334/cb?x=1",
        "http://localhost:3334/cb",
        "http://127.0.0.1:3334@evil.example/cb",
        "http://127.0.0.1.evil.example:3334/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.1:99999/cb",
        "http://user@127.0.0.1:3334/cb",
        "https://127.0.0.1:3334/cb",
        "http://[::1]:8080/other",
        "http://[::2]:8080/cb",
        "http://[0:0:0:0:0:0:0:1]:8080/cb",
        "http://[::ffff:127.0.0.1]:8080/cb",
        "http://[::1%25lo]:8080/cb",
        "http://[::1].evil.example:8080/cb",
        "https://[::1]:8080/cb",
        "",
    ] {
        assert!(!chosen(text), "{text}");
    }
}

#[test]
fn t01_odd_redirect_uris_are_not_registered() {
    assert_eq!(refusal("https://app.example/cb/%2e%2e/x"), RedirectUriError::NotNormal);
    assert_eq!(refusal("https://app.example/a/../b"), RedirectUriError::NotNormal);
    assert_eq!(refusal("https://App.Example/cb"), RedirectUriError::NotNormal);
    assert_eq!(refusal("https:\\\\app.example\\cb"), RedirectUriError::NotNormal);
    assert_eq!(refusal("com.example.app:call back"), RedirectUriError::NotNormal);
    assert_eq!(refusal("http://localhost@evil.example/cb"), RedirectUriError::NotLoopback);
    assert_eq!(refusal("https://localhost@evil.example/cb"), RedirectUriError::UserInfo);
    assert_eq!(refusal("https://app.example/cb#fragment"), RedirectUriError::Fragment);
    assert_eq!(refusal("http://app.example/cb"), RedirectUriError::NotLoopback);
    assert_eq!(refusal("http://2130706433/cb"), RedirectUriError::NotNormal);
    assert_eq!(refusal("/cb"), RedirectUriError::Syntax);
    assert_eq!(refusal(&format!("https://app.example/{}", "a".repeat(2048))), RedirectUriError::TooLong);
}

#[test]
fn t02_schemes_that_run_code_or_reach_nobody_are_refused() {
    for text in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "\u{1}javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "blob:https://app.example/x",
        "mailto:a@b.example",
        "file:///etc/passwd",
        "ftp://app.example/",
        "ws://app.example/",
        "view-source:https://app.example/",
        "about:blank",
    ] {
        assert_eq!(refusal(text), RedirectUriError::Scheme, "{text:?}");
    }
    assert_eq!(refusal(" https://app.example/cb"), RedirectUriError::NotNormal);
}

#[test]
fn t03_our_own_callback_is_refused_at_registration_and_later() {
    assert_eq!(refusal("http://localhost:10000/callback"), RedirectUriError::OwnOrigin);
    let registered = registered(&["http://localhost:3030/callback"]);
    assert!(RedirectTarget::choose(&registered, "http://localhost:10000/callback", &own()).is_none());
    assert!(RedirectTarget::choose(&registered, "http://localhost:10001/callback", &own()).is_some());
}

#[test]
fn parameters_are_added_to_what_is_there() {
    let add = |text: &str| RedirectTarget(text.into()).with_params([("code", "a b"), ("state", "&=")]);
    assert_eq!(add("https://a.example/cb"), "https://a.example/cb?code=a+b&state=%26%3D");
    assert_eq!(add("https://a.example/cb?x=1"), "https://a.example/cb?x=1&code=a+b&state=%26%3D");
    assert_eq!(add("https://a.example/cb?"), "https://a.example/cb?code=a+b&state=%26%3D");
    assert_eq!(add("com.example.app:/cb"), "com.example.app:/cb?code=a+b&state=%26%3D");
}

#[test]
fn without_redirect_uri_the_only_one_is_meant() {
    let only = |texts| RedirectTarget::only(&registered(texts), &own());
    assert!(only(&["https://a.example/cb"]).is_some());
    assert!(only(&["https://a.example/cb", "https://b.example/cb"]).is_none());
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_safe_to_redirect_to(text in "[a-zA-Z]{1,10}:[ -~]{0,40}") {
        if RedirectUri::parse(&text, &own()).is_ok() {
            let url = Url::parse(&text).unwrap();
            prop_assert!(url.fragment().is_none());
            prop_assert!(url.username().is_empty());
            prop_assert!(
                matches!(url.scheme(), "https" | "http")
                    || url.scheme().contains('.')
                    || KNOWN_APP_SCHEMES.contains(&url.scheme())
            );
        }
    }

    #[test]
    fn a_request_matches_only_the_registered_host_and_path(requested in "http://[a-z0-9.:@/\\[\\]]{0,40}") {
        let registered = registered(&["http://127.0.0.1:3334/cb"]);
        if RedirectTarget::choose(&registered, &requested, &own()).is_some() {
            let url = Url::parse(&requested).unwrap();
            prop_assert_eq!(url.host_str(), Some("127.0.0.1"));
            prop_assert_eq!(url.path(), "/cb");
        }
    }
}

#[test]
fn t12_a_user_sees_the_host_and_a_port_that_may_be_somebody_elses() {
    for (text, shown) in [
        ("https://app.example/cb", "app.example"),
        ("https://app.example:8443/cb", "app.example:8443"),
        ("http://127.0.0.1:3334/cb", "127.0.0.1"),
        ("com.example.app:/cb", "com.example.app:"),
    ] {
        let registered = [RedirectUri::parse(text, &[]).unwrap()];
        assert_eq!(RedirectTarget::only(&registered, &[]).unwrap().display_host(), shown);
    }
}
