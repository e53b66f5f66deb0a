//! What every store must do: one suite, run on each of them by a line of [`contract!`].

pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod fixtures;
pub(crate) mod grants;
pub(crate) mod lease;
pub(crate) mod log;
pub(crate) mod logins;
pub(crate) mod model;
pub(crate) mod provider_clients;
pub(crate) mod refresh;
pub(crate) mod revocation;
pub(crate) mod sessions;
pub(crate) mod sweep;
pub(crate) mod users;
pub(crate) mod wrapped;

/// One test for each case, on new stores from `$open`: a function in scope that gives what the store lives in,
/// and the store.
macro_rules! contract {
    ($open:ident) => {
        $crate::store::contract::contract! {
            @cases $open;
            clients: a_client_is_kept, a_client_is_forgotten_unless_used, the_quota_counts_unused_clients,
                the_unused_client_whose_end_is_next_makes_room, whoever_is_about_to_log_in_does_not_lose_the_client,
                a_client_that_somebody_has_logged_in_with_never_makes_room, of_parallel_registrations_no_more_than_the_quota_stay,
                clients_are_listed_in_order, a_client_that_is_there_counts_once_and_stays_if_used, a_record_replaces_what_was_there, a_recorded_client_can_be_granted,
                what_is_good_once_is_used_once, of_parallel_uses_one_is_the_first,
                what_was_used_is_forgotten_in_its_time;
            provider_clients: one_serves_each_slot, one_of_parallel_registrations_is_kept, the_quota_counts_them_all,
                they_go_with_their_client, revoking_another_scope_leaves_them,
                an_expiring_one_is_followed_by_another_and_kept_to_its_end;
            logins: a_login_is_taken_once, another_browser_changes_nothing, a_late_answer_gets_nothing, what_is_revoked_meanwhile_ends_a_login,
                t20_a_login_that_was_revoked_stays_so_when_the_sweeper_has_been_past,
                the_quota_counts_logins_under_way, one_browser_has_so_many_logins, of_parallel_takers_one_wins;
            grants: a_grant_needs_its_client, a_grant_marks_its_client_as_used, a_grant_comes_with_its_code,
                live_grants_are_listed_in_order, t20_what_is_revoked_before_it_is_kept_is_not_kept;
            lease: of_parallel_askers_one_gets_the_lease, only_what_lives_in_that_version_is_leased,
                a_result_replaces_the_version_and_ends_lease_and_pauses, a_failure_defers_the_next_attempt,
                a_lease_that_nobody_ends_runs_out, who_was_taken_over_ends_nothing,
                a_late_result_does_not_replace_its_successors, a_late_result_counts_where_there_is_no_other,
                the_holder_may_revoke_once, a_revoked_grant_takes_no_result,
                what_is_kept_replaces_the_version_and_the_attempt_goes_on, what_is_kept_late_does_not_replace_its_successors,
                what_is_kept_late_leaves_the_successor_with_nothing, a_kept_lease_runs_out_and_is_taken_over;
            codes: a_code_brings_its_tokens, an_unknown_or_late_code_brings_nothing,
                a_replay_revokes_what_the_code_brought, a_replay_of_a_dead_grants_code_appends_nothing,
                a_code_of_a_revoked_grant_is_gone, of_parallel_redemptions_one_is_issued_and_the_grant_dies;
            refresh: a_rotation_brings_new_tokens, a_repeat_within_the_grace_gets_the_first_answer,
                reuse_after_the_grace_revokes_the_grant, a_superseded_token_has_no_grace,
                an_expired_or_revoked_or_unknown_token_is_gone, parallel_rotations_get_one_answer,
                an_access_token_counts_until_it_expires, who_rotates_too_fast_gets_the_last_answer_and_leaves_no_rows,
                the_last_answer_is_not_given_again_where_it_is_of_no_use,
                t21_however_fast_they_follow_each_other_an_old_token_kills_the_grant;
            revocation: a_token_dies_alone, every_scope_ends_what_it_names_and_nothing_else,
                what_is_granted_later_is_alive, what_is_dead_stays_dead_for_every_operation,
                t20_what_was_decided_before_a_revocation_is_never_kept_after_it, what_waits_outlasts_the_revocation_of_another;
            log: it_starts_empty, every_revocation_appends, work_that_begins_makes_the_log_its_own, it_can_be_followed_from_any_position,
                a_foreign_position_is_refused, an_entry_outlives_every_access_token,
                the_head_moves_only_to_what_can_be_read;
            sweep: the_time_is_noted_to_the_minute, nothing_live_is_removed, what_has_expired_is_removed, room_is_made_in_the_quotas,
                a_used_code_is_kept_as_long_as_its_grant, a_dead_grants_code_goes_with_its_access_token, a_rotated_token_is_kept_until_it_expires,
                what_a_wide_revocation_ended_is_removed_and_stays_dead, the_log_is_forgotten_from_the_front,
                it_does_no_more_than_it_may;
            users: an_enrolment_ends_in_a_grant_a_code_and_a_token, an_enrolment_is_for_its_browser_and_in_time,
                attempts_are_counted_and_run_out, an_enrolment_is_taken_once, of_parallel_finishes_one_wins,
                the_quota_counts_enrolments, one_user_has_so_many_enrolments, what_is_revoked_meanwhile_ends_an_enrolment,
                a_new_token_ends_the_access_tokens_that_had_the_old_one,
                a_token_that_a_second_enrolment_brings_replaces_the_first,
                a_removed_token_takes_the_users_grants_there_along, a_revocation_leaves_the_users_token,
                a_user_has_grants_while_they_live;
            sessions: a_session_lasts_until_it_ends, the_quota_counts_sessions, one_user_has_so_many_sessions, attempts_in_a_session_run_out,
                whoever_revokes_a_user_ends_the_users_sessions, a_user_who_is_revoked_before_the_session_opens_has_none;
            wrapped: every_row_with_something_sealed_is_found, pages_find_each_row_once,
                what_is_sealed_is_replaced_and_nothing_else, a_concurrent_change_wins, what_is_gone_does_not_come_back,
                a_refresh_goes_on_over_it;
        }

        #[test]
        fn it_agrees_with_the_model() {
            $crate::store::contract::model::agrees($open);
        }

        #[test]
        fn it_agrees_with_the_model_on_leases() {
            $crate::store::contract::model::agrees_on_leases($open);
        }

        #[test]
        fn it_agrees_with_the_model_on_users() {
            $crate::store::contract::model::agrees_on_users($open);
        }
    };
    (@cases $open:ident; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            use super::$open;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (_home, store) = $open();
                    $crate::store::contract::$module::$case(&store).await;
                }
            )+
        })+
    };
}
pub(crate) use contract;
