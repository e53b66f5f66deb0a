//! `registration: dynamic`.

use super::*;

const APP: &str = "    client_id: portcullis\n    client_secret: { env: CORP }\n";

/// The good file with other keys in the app's place.
fn with(keys: &str) -> String {
    GOOD.replace(APP, &format!("    {keys}\n"))
}

#[track_caller]
fn token(text: &str) -> Option<String> {
    let config = read(text).unwrap();
    let settings = &config.providers[&ProviderName::new("corp")];
    let AppIdentity::Dynamic(registration) = &settings.app().identity else { panic!("{settings:?}") };
    assert!(!format!("{settings:?}").contains(SECRET));
    registration.initial_access_token.as_ref().map(|token| token.expose_secret().to_owned())
}

#[test]
fn it_takes_the_place_of_identifier_and_secret() {
    assert_eq!(token(&with("registration: dynamic")), None);
    let with_token = "registration: { dynamic: { initial_access_token: { env: CORP } } }";
    assert_eq!(token(&with(with_token)).as_deref(), Some(SECRET));
}

#[test]
fn what_contradicts_it_is_named() {
    let said = |text: &str| read(text).unwrap_err().to_string();
    let all = GOOD.replace(
        "    scopes:",
        "    client_auth: client_secret_post\n    registration: dynamic\n    scopes:",
    );
    let not = "not with `registration: dynamic`, which gets these from the provider";
    let expected =
        ["7: providers.corp.client_id", "8: providers.corp.client_secret", "9: providers.corp.client_auth"]
            .map(|place| format!("p:{place}: {not}"));
    assert_eq!(said(&all), expected.join("\n"));
    let forms = "p:7: providers.corp.registration: must be `dynamic` or `{ dynamic: { initial_access_token: SECRET } }`";
    for wrong in ["registration: static", "registration: true", "registration: []"] {
        assert_eq!(said(&with(wrong)), forms);
    }
    let missing = "p:7: providers.corp.registration.dynamic.initial_access_token: missing";
    assert_eq!(said(&with("registration: { dynamic: {} }")), missing);
    let google = with("registration: dynamic").replace("kind: oidc", "kind: google");
    assert!(said(&google).contains("p:7: providers.corp.registration: unknown key"));
}

#[test]
fn an_oauth2_provider_names_its_endpoint() {
    let keys = "kind: oauth2
    authorization_endpoint: https://hub.example.com/authorize
    token_endpoint: https://hub.example.com/token
    userinfo: { url: https://api.hub.example.com/user }";
    let oauth2 = |more: &str| GOOD.replace("kind: oidc", keys).replace(APP, more);
    let endpoint = "    registration_endpoint: https://hub.example.com/register\n";
    assert_eq!(token(&oauth2(&format!("{endpoint}    registration: dynamic\n"))), None);
    let together = "p:4: providers.corp: `registration: dynamic` and `registration_endpoint` go together";
    for wrong in [format!("{endpoint}{APP}"), "    registration: dynamic\n".to_owned()] {
        assert_eq!(read(&oauth2(&wrong)).unwrap_err().to_string(), together);
    }
}
