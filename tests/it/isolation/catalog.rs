//! What the lints of `vicket audit` leave to a review: each index that the tenant does not lead, and each function that runs
//! as its owner, is written down here, with why.

use crate::harness::World;

/// Indexes of tables of tenants that are not led by the tenant, and why.
const NOT_LED: &[(&str, &str)] = &[
    ("object_removals_due", "the worker removes whatever is due; not unique"),
    ("orgs_pkey", "the tenant itself"),
    ("orgs_slug_unique", "a slug stands in URLs before any tenant is known; no request role writes it"),
    ("orgs_slug_hash", "as the slug itself; generated from it"),
    ("role_permissions_pkey", "the same for every org; nobody writes it"),
    ("sessions_pkey", "people are no tenant's"),
    ("sessions_token", "the hash is what tells the person; no request role writes it"),
    ("sessions_user", "logging out everywhere finds them; not unique"),
    ("sessions_created", "the worker purges whatever ended; not unique"),
    ("invitations_token", "the hash is what tells the tenant; 256 random bits, so it says nothing of others"),
    ("machine_keys_id", "the worker has ids of many orgs; not unique"),
    ("machine_keys_hash", "the hash is what tells the tenant; 256 random bits, so it says nothing of others"),
    ("users_pkey", "people are no tenant's"),
    ("users_email_unique", "a login's e-mail is unique by nature; no request role writes it"),
    ("members_user", "a user's deletion finds the memberships; not unique"),
    ("site_keys_hash", "the hash is what tells the tenant; no request role writes it"),
    ("limit_windows_pkey", "what it counts may be of no site; a digest says what"),
    ("tasks_due", "whoever claims looks for the orgs that have any; not unique"),
    ("invitations_mailed_token", "the hash is what tells the tenant; 256 random bits, so it says nothing of others"),
    ("mail_addresses_digest", "the digest is what tells the tenant; no request role writes it"),
    ("inbound_mails_ended", "the worker deletes whatever is old; not unique"),
    ("mailboxes_pkey", "of no tenant; a digest says which"),
    ("mail_service_pkey", "of no tenant, one row"),
    ("mail_counts_pkey", "what it counts is of no tenant; a digest says what"),
    ("mail_counts_day", "who comes next deletes whatever is over; not unique"),
    ("account_mails_pkey", "of no tenant"),
    ("account_mails_due", "of no tenant; whoever sends takes what is due; not unique"),
    ("password_resets_pkey", "people are no tenant's; the hash is what tells the person"),
    ("password_resets_user", "people are no tenant's; not unique"),
    ("known_devices_pkey", "people are no tenant's"),
    ("unproven_accounts_user", "whoever logs in is found by who they are; not unique"),
    ("limit_windows_ended", "who comes next deletes whatever ended; not unique"),
    ("missed_searches_day", "the worker purges whatever is old; not unique"),
    ("site_origins_anywhere", "a preflight carries no key; not unique"),
    ("customer_sessions_created", "the worker purges whatever is over; not unique"),
    ("submissions_created", "the worker purges whatever expired; not unique"),
    ("ticket_messages_words", "of words, each behind the mark of its tenant; not unique"),
    ("tickets_words", "of words, each behind the mark of its tenant; not unique"),
];

#[tokio::test]
async fn each_index_is_led_by_the_tenant_or_says_why_not() {
    let world = World::new().await;
    let mut found: Vec<String> = sqlx::query_scalar(
        "select x.relname::text
        from pg_index i
        join pg_class c on c.oid = i.indrelid and c.relnamespace = 'vicket'::regnamespace
        join pg_class x on x.oid = i.indexrelid
        left join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
        where i.indkey[0] is distinct from a.attnum",
    )
    .fetch_all(&world.superuser)
    .await
    .expect("the catalog");
    let mut known: Vec<&str> = NOT_LED.iter().map(|(index, _)| *index).collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known, "left: the catalog; right: NOT_LED");
}

/// Functions that run as vicket_definer. One more is one more door: it belongs in this list, and in a review.
const DEFINERS: &[&str] = &[
    "admin.create_org(text,text)",
    "admin.create_user(text,text,text)",
    "admin.enter_org(text,boolean)",
    "admin.erase_person(text)",
    "admin.forget_customer(text)",
    "admin.forget_mail(text)",
    "admin.jobs()",
    "admin.list_jobs()",
    "admin.orgs()",
    "admin.reparse_mail(uuid)",
    "admin.set_password(text,text)",
    "admin.users()",
    "auth.accept_invitation(bytea,text,text,bytea,text)",
    "auth.ask_address_proof(bytea,text)",
    "auth.ask_password_reset(text,text)",
    "auth.begin_first_org(text,text,text,text,text,bytea,text)",
    "auth.change_password(bytea,text,text)",
    "auth.close_session(bytea,boolean)",
    "auth.end_session(bytea,uuid)",
    "auth.enter(bytea,bytea,bytea)",
    "auth.enter_actor(bytea,bytea,bytea,text)",
    "auth.enter_mail(bytea)",
    "auth.enter_many(bytea[],bytea[])",
    "auth.first_run()",
    "auth.identity_keys(bytea)",
    "auth.invitation(bytea)",
    "auth.log_in(text,text,bytea,bytea,text,text)",
    "auth.my_sessions(bytea)",
    "auth.open_customer_session(bytea,bytea[],text,text,text,bytea,bytea)",
    "auth.open_session(text,text,bytea)",
    "auth.password_reset(bytea)",
    "auth.password_salt(text)",
    "auth.rename_person(bytea,text)",
    "auth.reset_password(bytea,text,text)",
    "ctx.activity_of_mine(uuid)",
    "ctx.actor()",
    "ctx.actor_name()",
    "ctx.address_by_mail()",
    "ctx.as_customer(bytea,uuid)",
    "ctx.choose_notifications(boolean,boolean)",
    "ctx.claim_answer(uuid,bytea,bytea)",
    "ctx.claim_opening(uuid,bytea,bytea)",
    "ctx.claim_submission(text,bytea,bytea)",
    "ctx.customer()",
    "ctx.decide_mail(uuid,uuid,boolean)",
    "ctx.end_customer_session()",
    "ctx.may_issue_token(uuid)",
    "ctx.may_submit(text)",
    "ctx.memberships()",
    "ctx.note_read()",
    "ctx.org_by_key()",
    "ctx.org_by_mail()",
    "ctx.people()",
    "ctx.permissions_of(text)",
    "ctx.remove(text,uuid[],uuid,text)",
    "ctx.remove_dkim_key(uuid,text)",
    "ctx.remove_draft(uuid,text)",
    "ctx.remove_large(text,uuid)",
    "ctx.remove_tag(uuid)",
    "ctx.remove_view(uuid)",
    "ctx.run_again(uuid)",
    "ctx.score_ticket(uuid,uuid,jsonb)",
    "ctx.set_mail_address(uuid,text)",
    "ctx.site_by_key()",
    "ctx.site_by_mail()",
    "ctx.ticket_id()",
    "ctx.tickets_with_words(text,integer)",
    "ctx.unmerge(uuid)",
    "ctx.unproven_people()",
    "ctx.untag(uuid[],uuid[])",
    "vicket.agent_answered()",
    "vicket.attachment_added()",
    "vicket.audited()",
    "vicket.content_changed()",
    "vicket.customer_replied()",
    "vicket.help_written()",
    "vicket.inbound_gone()",
    "vicket.invitation_mailed()",
    "vicket.mail_received()",
    "vicket.mails_gone()",
    "vicket.message_mailed()",
    "vicket.serialize_org_writes()",
    "vicket.site_addressed()",
    "vicket.site_language_changed()",
    "vicket.snooze_noted()",
    "vicket.status_moved()",
    "vicket.ticket_change_mailed()",
    "vicket.ticket_changed()",
    "vicket.ticket_mailed()",
    "vicket.ticket_merged()",
    "vicket.ticket_opened()",
    "vicket.ticket_status_kept()",
    "vicket.ticket_tagged()",
    "worker.add_missed_searches(uuid[],uuid[],date[],text[],bigint[])",
    "worker.add_refused_origins(uuid[],uuid[],text[],bigint[],timestamp with time zone[],timestamp with time zone[])",
    "worker.add_views(uuid[],uuid[],bigint[])",
    "worker.address_mails(uuid[],uuid[],text[],bytea[],bytea[])",
    "worker.bounce_mail(uuid,uuid,uuid,boolean,text)",
    "worker.claim(text,integer,interval)",
    "worker.done(uuid[],uuid[])",
    "worker.draw_limits(bytea[],bigint[],bigint[],bigint[],bigint[])",
    "worker.fail_inbound(uuid,uuid,text)",
    "worker.file_mail(uuid,uuid,uuid,uuid,uuid,text,text,text,text,boolean,boolean,text[],text[],bytea[],text[],bigint[])",
    "worker.forget_mail(integer)",
    "worker.hold_mailbox(bytea,uuid,interval)",
    "worker.keep_mail_html(uuid,uuid,uuid,text)",
    "worker.languages_of_orgs(uuid[])",
    "worker.mail_participants(uuid[],uuid[])",
    "worker.mail_thread(uuid,uuid,uuid,uuid,bytea)",
    "worker.mail_waiting()",
    "worker.move_mailbox(bytea,uuid,bigint,bigint,interval)",
    "worker.news_of_orgs(uuid[])",
    "worker.note_mail(uuid,uuid,uuid,text,text,uuid,text,text,text,boolean,boolean,integer)",
    "worker.objects_due(integer)",
    "worker.objects_removed(text[])",
    "worker.open_account_mails(integer,interval,bytea[])",
    "worker.open_inbound(uuid,uuid)",
    "worker.open_mails(uuid[],uuid[],bytea[],bytea[])",
    "worker.purge(integer)",
    "worker.purge_customer_sessions(integer)",
    "worker.renew(uuid[],uuid[],interval)",
    "worker.reserve_objects(uuid,uuid,text[])",
    "worker.retain(integer)",
    "worker.retry(uuid[],uuid[],double precision[],text[])",
    "worker.run_job(integer)",
    "worker.run_job_batch(integer)",
    "worker.run_retention_batch(integer)",
    "worker.sender_keys(uuid[],uuid[])",
    "worker.serve_mail(text)",
    "worker.settle_account_mails(uuid[],double precision[])",
    "worker.settle_mails(uuid[],uuid[],uuid[],text[],text[],double precision[],boolean[])",
    "worker.touch_keys(uuid[],uuid[],uuid[],text[],timestamp with time zone[])",
    "worker.touch_machine_keys(uuid[],timestamp with time zone[])",
    "worker.touch_sessions(bytea[],timestamp with time zone[])",
];

#[tokio::test]
async fn the_functions_that_run_as_their_owner_are_these() {
    let world = World::new().await;
    let mut found: Vec<String> = sqlx::query_scalar(
        "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.prosecdef and n.nspname <> 'pg_catalog'",
    )
    .fetch_all(&world.superuser)
    .await
    .expect("the catalog");
    found.sort_unstable();
    assert_eq!(found, DEFINERS);
}
