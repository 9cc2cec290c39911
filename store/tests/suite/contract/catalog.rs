//! The rules that every catalog keeps, as functions over the trait.
//!
//! Each takes an empty catalog and the clock it was opened with; `contract_tests!` lists them.

mod access;
mod acl;
mod documents;
mod feedback;
mod indexes;
mod jobs;
mod names;
mod races;
mod recorded;
mod tuning;
mod webhooks;

pub(crate) use access::*;
pub(crate) use acl::*;
pub(crate) use documents::*;
pub(crate) use feedback::*;
pub(crate) use indexes::*;
pub(crate) use jobs::*;
pub(crate) use names::*;
pub(crate) use races::*;
pub(crate) use recorded::*;
pub(crate) use tuning::*;
pub(crate) use webhooks::*;

/// Hands every rule's name to a macro.
macro_rules! rules {
    ($then:ident) => {
        $then! {
            collections_are_made_listed_and_deleted,
            a_collection_made_again_is_empty,
            a_document_is_visible_once_published,
            a_version_is_deleted_only_while_it_is_visible,
            an_update_replaces_in_one_step,
            text_and_spans_are_cut_at_characters,
            long_texts_are_read_in_parts,
            documents_are_listed_in_pages,
            duplicates_are_found_by_bytes,
            a_document_without_chunks_can_be_published,
            broken_input_is_refused,
            an_idempotency_key_repeats_the_first_answer,
            counts_follow_what_is_visible,
            filters_apply_to_documents_and_chunks,
            neighbours_stay_within_the_version,
            tenants_do_not_see_each_other,
            hostile_names_are_only_names,
            access_lists_hide_documents,
            principals_are_compared_exactly,
            hidden_documents_cannot_be_replaced,
            an_access_list_changes_at_once,
            only_who_sees_a_document_changes_its_list,
            a_changed_list_holds_for_versions_to_come,
            collections_can_be_withheld,
            a_scope_of_a_deleted_collection_sees_nothing,
            jobs_are_leased_once_and_in_order,
            versions_of_a_document_are_made_one_after_the_other,
            a_lost_lease_can_change_nothing,
            heartbeats_extend_and_report,
            attempts_run_out,
            dead_jobs_keep_their_documents,
            jobs_that_fail_do_not_keep_others_waiting,
            a_job_queued_again_does_not_undo_a_newer_version,
            a_newer_version_says_what_it_waits_for,
            retries_wait_and_count,
            cancelling_works_in_every_state,
            jobs_end_with_their_reason,
            jobs_are_listed_newest_first,
            feedback_is_kept_once_and_bounded,
            feedback_stays_behind_walls,
            receivers_are_told_once_of_what_is_theirs,
            deliveries_are_retried_given_up_and_replayed,
            deliveries_stay_behind_walls_and_bounds,
            events_are_kept_no_longer_than_they_are_needed,
            the_backlog_is_counted,
            deleting_beats_a_running_job,
            deleting_cancels_queued_jobs,
            a_deleted_document_starts_anew,
            many_writers_at_once_lose_nothing,
            storing_again_replaces,
            changes_are_in_order_and_per_collection,
            entries_are_what_indexes_hold,
            vectors_are_known_by_content,
            watermarks_never_go_back,
            generations_are_swapped_once,
            purge_waits_for_both_indexes,
            purge_takes_deleted_collections,
            purge_names_blobs_until_they_are_gone,
            samples_are_of_visible_chunks_by_language,
            a_report_about_a_collection_is_kept_and_replaced,
            names_follow_the_visible_version,
            names_respect_every_wall,
            names_of_many_lead_nowhere,
            kept_queries_are_bounded,
            kept_queries_stay_behind_walls,
            a_sound_catalog_has_no_damage,
        }
    };
}
pub(crate) use rules;
