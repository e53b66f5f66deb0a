//! Where an MCP client's metadata document for providers is: `/provider-clients/<name>.json`. An identifier that is
//! no plain name, such as the URL of the client's own document, is in the path as `~` and its base64url.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_proto::ids::ClientId;
use url::Url;

use crate::issuer::Issuer;

/// Where providers fetch the document of this client.
pub(super) fn url(issuer: &Issuer, client: &ClientId) -> Url {
    let mut url = issuer.callback.clone();
    url.set_path(&format!("/provider-clients/{}.json", name(client)));
    url
}

fn name(client: &ClientId) -> String {
    let id = client.as_str();
    if is_plain(id) { id.to_owned() } else { format!("~{}", BASE64_URL_SAFE_NO_PAD.encode(id)) }
}

fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The client whose document has this file name. There is one name for each client.
pub fn client(file: &str) -> Option<ClientId> {
    let name = file.strip_suffix(".json")?;
    let Some(encoded) = name.strip_prefix('~') else {
        return is_plain(name).then(|| ClientId::new(name));
    };
    let id = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
    (!is_plain(&id)).then(|| ClientId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_has_one_name_of_one_segment() {
        for (id, expected) in [
            ("8kC-plain_1.2", "8kC-plain_1.2"),
            ("..", ".."),
            ("https://a.example/b?c", "~aHR0cHM6Ly9hLmV4YW1wbGUvYj9j"),
            ("two words/%2e", "~dHdvIHdvcmRzLyUyZQ"),
            ("~", "~fg"),
        ] {
            let id = ClientId::new(id);
            assert_eq!(name(&id), expected);
            assert_eq!(client(&format!("{expected}.json")), Some(id));
        }
    }

    #[test]
    fn other_names_are_nobodys() {
        // The third is what base64url makes of a plain name, the last is no UTF-8.
        for file in ["plain", "https://a.example/b.json", "~cGxhaW4.json", "~fg==.json", "~.json", "~_w.json"]
        {
            assert_eq!(client(file), None, "{file}");
        }
    }
}
