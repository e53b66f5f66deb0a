use proptest::prelude::*;

use super::*;
use crate::random::SystemRandom;
use crate::token::{Access, Token};

fn grant() -> GrantId {
    GrantId::new("grant")
}

#[test]
fn what_was_sealed_opens() {
    let key = SealingKey::generate(&SystemRandom);
    let sealed = key.seal(&SystemRandom, &grant(), Field::Credential, b"secret");
    assert_eq!(key.open(&grant(), Field::Credential, &sealed).unwrap().as_slice(), b"secret");
    assert!(!sealed.as_bytes().windows(6).any(|window| window == b"secret"));
}

#[test]
fn a_value_opens_only_in_its_own_place() {
    let key = SealingKey::generate(&SystemRandom);
    let sealed = key.seal(&SystemRandom, &grant(), Field::Credential, b"secret");
    let elsewhere = GrantId::new("another");
    assert_eq!(key.open(&elsewhere, Field::Credential, &sealed), Err(OpenError));
    assert_eq!(key.open(&grant(), Field::ProviderRefreshToken, &sealed), Err(OpenError));
    let another = SealingKey::generate(&SystemRandom);
    assert_eq!(another.open(&grant(), Field::Credential, &sealed), Err(OpenError));
}

#[test]
fn a_data_key_opens_with_its_token_and_no_other() {
    let (token, other) = (Token::<Access>::generate(&SystemRandom), Token::<Access>::generate(&SystemRandom));
    let data_key = SealingKey::generate(&SystemRandom);
    let wrapped = SealingKey::of_token(token.as_presented()).wrap(
        &SystemRandom,
        &grant(),
        Field::DataKeyForToken,
        &data_key,
    );
    let opened =
        SealingKey::of_token(token.as_presented()).unwrap_key(&grant(), Field::DataKeyForToken, &wrapped);
    assert_eq!(opened.unwrap().expose(), data_key.expose());
    let refused =
        SealingKey::of_token(other.as_presented()).unwrap_key(&grant(), Field::DataKeyForToken, &wrapped);
    assert_eq!(refused.unwrap_err(), OpenError);
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", SealingKey::generate(&SystemRandom)), "SealingKey([REDACTED])");
}

proptest! {
    #[test]
    fn any_changed_bit_is_noticed(plaintext: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
        let key = SealingKey::generate(&SystemRandom);
        let mut bytes = key.seal(&SystemRandom, &grant(), Field::Credential, &plaintext).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(key.open(&grant(), Field::Credential, &Sealed::from_bytes(bytes)), Err(OpenError));
    }

    #[test]
    fn no_bytes_make_opening_panic(bytes: Vec<u8>) {
        let key = SealingKey::generate(&SystemRandom);
        prop_assert!(key.open(&grant(), Field::Credential, &Sealed::from_bytes(bytes)).is_err());
    }
}
