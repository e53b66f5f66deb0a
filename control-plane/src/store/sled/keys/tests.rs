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

#[test]
fn what_belongs_to_one_user_is_not_listed_for_another() {
    let (provider, id) = (ProviderName::new("a"), GrantId::new("g"));
    let (first, end) = Key::grants_of(&provider, &Subject::new("b"));
    let own = Key::grant_of(&provider, &Subject::new("b"), &id);
    assert!(first < own && own < end);
    assert_eq!(own.below(&first), b"g");
    for (provider, subject) in [("a", "bc"), ("a", ""), ("ab", ""), ("", "ab")] {
        let other = Key::grant_of(&ProviderName::new(provider), &Subject::new(subject), &id);
        assert!(other < first || end <= other, "{provider} {subject}");
    }
    let (first, end) = Key::access_tokens_of(&id);
    let last = Key::access_of(&id, &TokenId::from_slice(&[255; 32]).unwrap());
    assert!(first < last && last < end);
    let other = Key::access_of(&GrantId::new("ga"), &TokenId::from_slice(&[0; 32]).unwrap());
    assert!(other < first || end <= other);
}

#[test]
fn a_users_token_tells_whose_it_is() {
    for (provider, subject, server) in [("corp", "jane", "docs"), ("", "a\0b", "\u{e9}")] {
        let holder = Holder {
            provider: ProviderName::new(provider),
            subject: Subject::new(subject),
            server: ServerName::new(server),
        };
        assert_eq!(Key::user_token(&holder).as_holder(), Some(holder.clone()));
        let key = Key::user_token(&holder);
        assert_eq!(Key::from(&key.as_ref()[..key.as_ref().len() - 1]).as_holder(), None);
        assert_eq!(Key::from([key.as_ref(), b"x"].concat().as_slice()).as_holder(), None);
    }
    assert_eq!(Key::grant(&GrantId::new("g")).as_holder(), None);
}
