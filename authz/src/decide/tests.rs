use bytestring::ByteString;
use portcullis_proto::ids::{Sequence, ServerName};
use portcullis_proto::revocation::{Entry, Scope};
use proptest::prelude::*;

use super::*;
use crate::testing::{record, server};

const NOW: Timestamp = Timestamp::from_millis(2_000);

fn tombstones(sequence: u64, scope: Scope) -> Tombstones {
    let mut tombstones = Tombstones::default();
    tombstones.add(&Entry {
        sequence: Sequence(sequence),
        at: NOW,
        forget_at: Timestamp::from_millis(u64::MAX),
        scope,
    });
    tombstones
}

fn verdict(record: &TokenRecord) -> Result<(), Refusal> {
    decide(&server(), record, &Tombstones::default(), NOW).map(|_| ())
}

#[test]
fn a_good_token_is_permitted() {
    assert_eq!(verdict(&record()), Ok(()));
}

#[test]
fn a_token_is_refused_from_the_moment_it_expires() {
    let expires = |millis| TokenRecord { expires_at: Timestamp::from_millis(millis), ..record() };
    assert_eq!(verdict(&expires(2_001)), Ok(()));
    assert_eq!(verdict(&expires(2_000)), Err(Refusal::Expired));
    assert_eq!(verdict(&expires(1_999)), Err(Refusal::Expired));
}

#[test]
fn t19_a_record_of_server_a_is_no_permission_at_server_b() {
    let elsewhere = TokenRecord { server: ServerName::new("other"), ..record() };
    assert_eq!(verdict(&elsewhere), Err(Refusal::WrongServer));
}

#[test]
fn a_required_scope_must_be_there_in_full() {
    let scopes = |scopes: &[&str]| TokenRecord {
        scopes: scopes.iter().map(|&scope| scope.into()).collect(),
        ..record()
    };
    assert_eq!(verdict(&scopes(&["tools"])), Ok(()));
    assert_eq!(verdict(&scopes(&["openid"])), Err(Refusal::InsufficientScope));
    assert_eq!(verdict(&scopes(&["tools:read", "tool", "TOOLS"])), Err(Refusal::InsufficientScope));
    assert_eq!(verdict(&scopes(&[])), Err(Refusal::InsufficientScope));
}

#[test]
fn a_revoked_token_is_not_told_to_ask_for_more_scopes() {
    let record = TokenRecord { scopes: Vec::new(), ..record() };
    let refusal = decide(&server(), &record, &tombstones(9, Scope::Everything), NOW).unwrap_err();
    assert_eq!(refusal, Refusal::Revoked);
}

fn any_record() -> impl Strategy<Value = TokenRecord> {
    let scopes = prop::collection::vec(prop::sample::select(vec!["openid", "tools", "x"]), 0..4);
    (prop::bool::ANY, 0_u64..4_000, 0_u64..10, scopes).prop_map(|(here, expires, born, scopes)| TokenRecord {
        server: ServerName::new(if here { "demo" } else { "other" }),
        expires_at: Timestamp::from_millis(expires),
        born: Sequence(born),
        scopes: scopes.into_iter().map(ByteString::from).collect(),
        ..record()
    })
}

proptest! {
    #[test]
    fn whatever_a_tombstone_hits_is_denied(record in any_record(), scope in 0_usize..6, sequence in 1_u64..10) {
        let hit = scope < 2 || record.born < Sequence(sequence);
        let tombstones = tombstones(sequence, Scope::hitting(&record)[scope].clone());
        prop_assert_eq!(tombstones.hit(&record), hit);
        prop_assert!(!hit || decide(&server(), &record, &tombstones, NOW).is_err());
    }

    #[test]
    fn a_permit_means_that_every_condition_holds(record in any_record()) {
        let good = record.server == server().name
            && record.expires_at > NOW
            && record.scopes.iter().any(|scope| scope == "tools");
        prop_assert_eq!(verdict(&record).is_ok(), good);
    }
}
