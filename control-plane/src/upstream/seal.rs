//! Sealing what a provider gave.

use portcullis_proto::ids::GrantId;
use portcullis_proto::random::Random;
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::v1;
use prost::Message;
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

use crate::config::CredentialHeader;
use crate::oauth::grant::Upstream;
use crate::oauth::renewal::Renewal;
use crate::provider::ProviderTokens;

/// Seals what a provider gave.
pub fn seal(
    random: &dyn Random,
    data_key: &SealingKey,
    grant: &GrantId,
    tokens: &ProviderTokens,
    version: u64,
) -> Upstream {
    let header = CredentialHeader::bearer().with(&tokens.access_token);
    let mut message = v1::Credential { headers: vec![header] };
    let credential = Zeroizing::new(message.encode_to_vec());
    message.headers.iter_mut().for_each(|header| header.value.zeroize());
    let seal_refresh_token = |token: &SecretString| {
        data_key.seal(random, grant, Field::ProviderRefreshToken, token.expose_secret().as_bytes())
    };
    Upstream {
        credential: data_key.seal(random, grant, Field::Credential, &credential),
        credential_expires_at: tokens.expires_at,
        refresh_token: tokens.refresh_token.as_ref().map(seal_refresh_token),
        version,
        renewal: Renewal::default(),
    }
}
