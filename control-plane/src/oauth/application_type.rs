//! `application_type` (OpenID Connect Dynamic Client Registration 1.0 section 2): where a client runs, and which
//! redirect URIs go with that.

use serde::Serialize;

use super::redirect_uri::{RedirectUri, RedirectUriError};
use super::registration::MetadataError;

/// Where a client runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// On the user's own device: it may have every redirect URI that there may be, https too (RFC 8252 section 7.2).
    Native,
    /// On a web server: https, and no loopback host.
    Web,
}

// === impl ApplicationType ===

impl ApplicationType {
    /// What a client says that it is, where its redirect URIs go with that. Where it says nothing they alone decide:
    /// OpenID Connect's default is `web`, but MCP clients with loopback redirect URIs leave it out.
    pub fn of(said: Option<&str>, redirect_uris: &[RedirectUri]) -> Result<Self, MetadataError> {
        let is_web = redirect_uris.iter().all(RedirectUri::is_web);
        match said {
            None | Some("web") if is_web => Ok(Self::Web),
            None | Some("native") => Ok(Self::Native),
            Some("web") => Err(RedirectUriError::NotWeb.into()),
            Some(_) => Err(MetadataError::ApplicationType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: Option<&str>, uris: &[&str]) -> Result<ApplicationType, MetadataError> {
        let uris: Vec<_> = uris.iter().map(|uri| RedirectUri::parse(uri, &[]).unwrap()).collect();
        ApplicationType::of(said, &uris)
    }

    const HTTPS: &str = "https://app.example/cb";
    const LOCAL: [&str; 9] = [
        "http://127.0.0.1:33418/cb",
        "http://[::1]/cb",
        "http://localhost/cb",
        "https://localhost:8443/cb",
        "https://localhost./cb",
        "https://app.localhost/cb",
        "https://127.0.0.2/cb",
        "https://[::1]/cb",
        "com.example.app:/cb",
    ];

    #[test]
    fn a_native_client_may_have_every_redirect_uri() {
        for uri in LOCAL.into_iter().chain([HTTPS]) {
            assert_eq!(of(Some("native"), &[uri]), Ok(ApplicationType::Native), "{uri}");
        }
    }

    #[test]
    fn a_web_client_has_https_and_no_loopback_host() {
        assert_eq!(of(Some("web"), &[HTTPS, "https://localhost.example/cb"]), Ok(ApplicationType::Web));
        for uri in LOCAL {
            let refused = of(Some("web"), &[HTTPS, uri]);
            assert_eq!(refused, Err(MetadataError::RedirectUri(RedirectUriError::NotWeb)), "{uri}");
        }
    }

    #[test]
    fn a_client_that_does_not_say_is_what_its_redirect_uris_are() {
        assert_eq!(of(None, &[HTTPS]), Ok(ApplicationType::Web));
        for uri in LOCAL {
            assert_eq!(of(None, &[HTTPS, uri]), Ok(ApplicationType::Native), "{uri}");
        }
    }

    #[test]
    fn there_is_no_other_type() {
        for said in ["", "Native", "browser", "web native"] {
            assert_eq!(of(Some(said), &[HTTPS]), Err(MetadataError::ApplicationType), "{said:?}");
        }
    }
}
