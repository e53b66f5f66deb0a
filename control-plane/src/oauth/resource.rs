//! Resource indicators (RFC 8707): which MCP server a token is for.

use portcullis_proto::ids::ServerName;
use thiserror::Error;
use url::Url;

use super::scope::Scopes;

/// An MCP server as the OAuth rules see it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its name in the configuration.
    pub server: ServerName,
    /// Its canonical identifier: what people type into their MCP client.
    pub url: Url,
    /// What clients may ask for.
    pub scopes: Scopes,
}

/// Why a `resource` is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ResourceError {
    /// RFC 8707 section 2: an absolute URI without a fragment.
    #[error("resource is not an absolute URI without fragment")]
    Syntax,
    /// Not one of this issuer's.
    #[error("resource is not an MCP server of this authorization server")]
    Unknown,
}

/// The server that `requested` means, among those of one issuer.
pub fn named<'a>(resources: &'a [Resource], requested: &str) -> Result<&'a Resource, ResourceError> {
    // Parsing folds the case of scheme and host, and drops a default port.
    let url = Url::parse(requested).map_err(|_| ResourceError::Syntax)?;
    if url.fragment().is_some() {
        return Err(ResourceError::Syntax);
    }
    let same = |resource: &&Resource| without_slash(&resource.url) == without_slash(&url);
    resources.iter().find(same).ok_or(ResourceError::Unknown)
}

fn without_slash(url: &Url) -> &str {
    url.as_str().strip_suffix('/').unwrap_or(url.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(urls: &[&str]) -> Vec<Resource> {
        let resource = |url: &&str| Resource {
            server: ServerName::new(*url),
            url: Url::parse(url).unwrap(),
            scopes: Scopes::default(),
        };
        urls.iter().map(resource).collect()
    }

    #[test]
    fn t16_case_of_scheme_and_host_and_a_trailing_slash_do_not_matter() {
        let resources = resources(&["https://mcp.example/a/mcp", "https://mcp.example/b/mcp"]);
        for text in [
            "https://mcp.example/a/mcp",
            "HTTPS://MCP.Example/a/mcp",
            "https://mcp.example/a/mcp/",
            "https://mcp.example:443/a/mcp",
        ] {
            assert_eq!(named(&resources, text).unwrap().url, resources[0].url, "{text}");
        }
    }

    #[test]
    fn t16_an_unknown_resource_or_one_with_a_fragment_is_refused() {
        let resources = resources(&["https://mcp.example/a/mcp"]);
        for text in [
            "https://mcp.example/A/mcp",
            "https://mcp.example/a/mcp?x",
            "https://mcp.example/",
            "https://evil.example/a/mcp",
            "http://mcp.example/a/mcp",
            "https://mcp.example/a/mcp//",
        ] {
            assert_eq!(named(&resources, text).unwrap_err(), ResourceError::Unknown, "{text}");
        }
        for text in ["https://mcp.example/a/mcp#x", "a/mcp", "mcp"] {
            assert_eq!(named(&resources, text).unwrap_err(), ResourceError::Syntax, "{text}");
        }
    }
}
