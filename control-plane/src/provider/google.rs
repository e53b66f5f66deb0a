//! `kind: google`: Google accounts, and those of one Google Workspace domain.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::oidc::{Claims, Oidc, Rules};
use super::{App, Http, Identity, OidcSettings, ProviderError, identity};

/// `iss` of the ID tokens of Google's older token endpoints (its OpenID Connect reference, "An ID token's payload").
const OLD_ISSUER: &str = "accounts.google.com";

/// `kind: google`.
#[derive(Clone, Debug)]
pub struct GoogleSettings {
    /// `issuer`: `https://accounts.google.com` by default.
    pub issuer: String,
    /// `hosted_domain`: the one Google Workspace domain whose users may log in; absent: whoever has an account.
    pub hosted_domain: Option<String>,
    /// The app.
    pub app: App,
}

#[derive(Debug)]
struct Google {
    hosted_domain: Option<String>,
}

// === impl GoogleSettings ===

impl GoogleSettings {
    /// Parameters of the authorization request that are not for `authorize_parameters`.
    pub const OWN_PARAMETERS: [&str; 2] = ["access_type", "hd"];

    /// OpenID Connect, with Google's parameters and rules.
    pub(super) fn connect(self, http: Http) -> Oidc {
        let Self { issuer, hosted_domain, mut app } = self;
        let parameters = &mut app.authorize_parameters;
        // Google gives a refresh token for offline access only, and after the first login only with consent.
        parameters.push(("access_type".into(), "offline".into()));
        if !parameters.iter().any(|(name, _)| name == "prompt") {
            parameters.push(("prompt".into(), "consent".into()));
        }
        if let Some(domain) = &hosted_domain {
            parameters.push(("hd".into(), domain.clone()));
        }
        Oidc::with_rules(OidcSettings { issuer, app }, Box::new(Google { hosted_domain }), http)
    }
}

// === impl Google ===

impl Rules for Google {
    fn token_issuer<'a>(&self, discovered: &'a str, claims: &Claims) -> Result<Cow<'a, str>, ProviderError> {
        Ok(Cow::Borrowed(if claims.iss == OLD_ISSUER { OLD_ISSUER } else { discovered }))
    }

    /// The parameter `hd` only arranges the login page: the browser can take it out. The claim is what counts.
    /// An e-mail address in the domain is not enough: personal accounts can have one.
    ///
    /// Of an address that Google does not host it says that it was verified once; whose it is by now, Google does not
    /// know (its guide "Verify the Google ID token on your server side").
    fn admit(&self, claims: &Map<String, Value>, mut identity: Identity) -> Result<Identity, ProviderError> {
        let hd = identity::text(claims, "hd").filter(|hd| !hd.is_empty()).map(str::to_ascii_lowercase);
        if let Some(domain) = &self.hosted_domain
            && hd.as_ref() != Some(domain)
        {
            return Err(ProviderError::NotAllowed(format!("the account is not one of the domain {domain}")));
        }
        let gmail = identity.email.as_ref().and_then(|email| email.rsplit_once('@'));
        let gmail = gmail.is_some_and(|(_, domain)| domain.eq_ignore_ascii_case("gmail.com"));
        identity.facts.email_verified &= gmail || hd.is_some();
        identity.facts.organizations.extend(hd);
        Ok(identity)
    }
}

#[cfg(test)]
mod tests;
