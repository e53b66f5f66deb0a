use portcullis_proto::ids::{ProviderName, ServerName, Subject};

use super::*;

#[test]
fn every_table_has_a_prefix_of_its_own_and_none_lies_inside_another() {
    for table in Table::ALL {
        assert_eq!(Key::first(table).table(), Some(table));
        assert!(Table::ALL.iter().all(|other| *other == table || other.prefix() != table.prefix()));
    }
}

#[test]
fn expiries_sort_by_time_and_lead_back_to_their_row() {
    let row = Key::client(&ClientId::new("c"));
    let (soon, late) = (Timestamp::from_millis(255), Timestamp::from_millis(256));
    assert!(Key::expiry(soon, &row) < Key::expiry_end(soon));
    assert!(Key::expiry_end(soon) < Key::expiry(late, &row));
    assert!(
        Key::expiry(Timestamp::from_millis(u64::MAX), &row)
            < Key::expiry_end(Timestamp::from_millis(u64::MAX))
    );
    assert!(Key::expiry(late, &row).expiring() == Some(row));
}

#[test]
fn no_two_scopes_share_a_key() {
    let subject =
        |provider: &str, subject: &str| Scope::Subject(ProviderName::new(provider), Subject::new(subject));
    assert!(Key::cutoff(&subject("a", "bc")) != Key::cutoff(&subject("ab", "c")));
    let client = Scope::Client(ClientId::new("x"));
    assert!(Key::cutoff(&client) != Key::cutoff(&Scope::Server(ServerName::new("x"))));
    assert!(Key::cutoff(&Scope::Grant(GrantId::new("x"))).is_none());
}
