//! A provider client's secret, between its row and its use.

use portcullis_proto::seal::Field;
use secrecy::SecretString;

use super::{Acting, ActingError};
use crate::app::App;
use crate::keys::Wrapped;
use crate::oauth::provider_client::{ActingClient, KeptAuth, ProviderClient, ProviderClientId};
use crate::provider::{AppCredentials, ClientAuth, ProviderError};

/// As it is kept. Only what a provider has registered is.
pub(super) fn seal(app: &App, id: &ProviderClientId, auth: &ClientAuth) -> Result<KeptAuth, ActingError> {
    let kept =
        |secret: &SecretString| app.keys.seal(app.random.as_ref(), id, Field::ProviderClientSecret, secret);
    match auth {
        ClientAuth::None => Ok(KeptAuth::None),
        ClientAuth::Basic(secret) => Ok(KeptAuth::SecretBasic(kept(secret))),
        ClientAuth::Post(secret) => Ok(KeptAuth::SecretPost(kept(secret))),
        ClientAuth::PrivateKeyJwt(_) => Err(ProviderError::NoRegistration.into()),
    }
}

/// As it acts.
pub(super) fn open(app: &App, known: ProviderClient) -> Result<Acting, ActingError> {
    let ProviderClient { id, client_id, auth, .. } = known;
    let secret = |kept: &Wrapped| app.keys.open_secret(&id, Field::ProviderClientSecret, kept);
    let auth = match &auth {
        KeptAuth::None => ClientAuth::None,
        KeptAuth::SecretBasic(kept) => ClientAuth::Basic(secret(kept)?),
        KeptAuth::SecretPost(kept) => ClientAuth::Post(secret(kept)?),
    };
    Ok(Acting { client: ActingClient::Registered(id), credentials: AppCredentials { client_id, auth } })
}
