/**
 * Every limit of the product, by name. Units last; bytes are bytes of UTF-8.
 * What a caller can hit is returned in the error it causes.
 */

/** Bytes of a tenant id, `[A-Za-z0-9._:-]{1,64}`. */
export const TENANT_ID_BYTES_MAX = 64;
/** Tenants one process takes; a new one beyond is refused with `tenantLimit`. */
export const TENANT_COUNT_MAX = 131_072;

/** Bytes of a request body as received, and again after decompression. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of one event as JSON: a line of NDJSON or an element of an array. */
export const LINE_BYTES_MAX = 64 * 1024;
/** Bytes of all request bodies held at once, decompressed; beyond, `busy`. */
export const BODIES_BYTES_MAX = 256 * 1024 * 1024;
/** Of one tenant, or one key where the tenant is in the body: a slow sender leaves others room. */
export const BODIES_OF_OWNER_BYTES_MAX = BODIES_BYTES_MAX / 2;
/** Bytes of a JSON body of the control plane, such as a tenant's settings. */
export const SETTINGS_BYTES_MAX = 4 * 1024;
/** Problems listed in one answer; the rest are only counted. */
export const ERRORS_LISTED_MAX = 100;
/** Mistakes of one message or policy that its problem lists; the rest are only counted. */
export const MISTAKES_LISTED_MAX = 32;
/** Characters of a name that a JSON pointer tells. */
export const POINTER_NAME_MAX = 80;

export const EVENT_ID_BYTES_MAX = 64;
export const USER_BYTES_MAX = 128;
export const CONVERSATION_BYTES_MAX = 128;
/** Bytes of an event's text. */
export const TEXT_BYTES_MAX = 16 * 1024;
/** Bytes of one explicit term; words of a text are cut to it. */
export const TERM_BYTES_MAX = 40;
/** Explicit terms of one event. */
export const TERM_COUNT_MAX = 64;
export const METRIC_NAME_BYTES_MAX = 64;
export const METRIC_COUNT_MAX = 16;
export const WEIGHT_MAX = 1_000_000;
/** Latest time a Date can hold, epoch ms. */
export const TS_MS_MAX = 8.64e15;
/** How far ahead of the host's clock an event of a tenant on the wall clock may be. */
export const FUTURE_MS_MAX = 60_000;

/** Bytes of one batch handed to a guest. Larger groups are split. */
export const BATCH_BYTES_MAX = 24 * 1024;
/** Bytes of the pages that a tenant's state may take, enforced by the host. */
export const IMAGE_BYTES_MAX = 128 * 1024;
export const IMAGE_PAGE_BYTES = 4096;
/** 64 KiB pages of a guest's memory: one or two of program and scratch, two of state. */
export const GUEST_MEMORY_PAGES_MAX = 4;
/** Elements of the one table of functions a guest may have. */
export const GUEST_TABLE_ELEMENTS_MAX = 4096;
/** Bytes of a component. */
export const COMPONENT_BYTES_MAX = 1024 * 1024;
/** Components that one shard holds. */
export const COMPONENT_COUNT_MAX = 64;
/** Bytes that one answer of a guest may hold once read; pointers may share what they point to. */
export const LIFTED_BYTES_MAX = 512 * 1024;
/** Bytes of a tenant's state on its way to another component: of all, and of one part. */
export const PORTABLE_BYTES_MAX = 512 * 1024;
export const PORTABLE_PART_BYTES_MAX = 32 * 1024;
export const PORTABLE_PART_COUNT_MAX = 256;
/** Of what a component says about a state that it does not take. */
export const PORTABLE_REASON_CHARACTERS_MAX = 300;
/** Bytes of turns that a slot keeps until it commits the tenant's image. */
export const JOURNAL_BYTES = 64 * 1024;
/** Milliseconds of guest time that a slot keeps as turns; replaying them takes about as long. */
export const JOURNAL_MS_MAX = 10;
/** Milliseconds of CPU that one turn of a guest may take. */
export const TURN_MS_MAX = 50;
/** Failed turns after which a tenant is quarantined. */
export const STRIKE_COUNT_MAX = 3;

/** Items of one trending answer. */
export const TRENDING_LIMIT_MAX = 50;
export const TRENDING_LIMIT_DEFAULT = 10;
export const WINDOW_MS = 60_000;
export const PANE_MS = 5_000;

/** Terms of one summary. */
export const SUMMARY_LIMIT_MAX = 50;
export const SUMMARY_LIMIT_DEFAULT = 10;
/** Conversations that a tenant remembers, if they are short; bytes bound them too. */
export const CONVERSATION_KEPT_MAX = 64;
/** Conversations of one list. */
export const CONVERSATIONS_LIMIT_MAX = 100;
export const CONVERSATIONS_LIMIT_DEFAULT = 20;
/** Metrics that a tenant has by name; samples of a further name are refused with a warning. */
export const METRIC_NAMES_MAX = 16;

/** Tenants of one merge: all that there can be, some 30 us of a shard's time each. */
export const MERGE_TENANTS_MAX = TENANT_COUNT_MAX;
/** Sketches that a request for a merge brings along, and bytes of each. */
export const MERGE_SKETCHES_MAX = 1_000;
export const SKETCH_BYTES_MAX = 1024 * 1024;
/** Users of a sketch's exact list, and of a merge's; beyond, they are a bitmap or registers. */
export const SKETCH_USERS_LISTED_MAX = 24_576;
export const MERGE_USERS_LISTED_MAX = 4_096;
/** Metrics that a merge has by name, and bins of each; so a merge is a sketch of its own kind. */
export const MERGE_METRIC_NAMES_MAX = 64;
export const MERGE_METRIC_BINS_MAX = 960;
/** Terms of a sketch and of a merge. */
export const MERGE_TERMS_MAX = 512;
/** Tenants that a shard merges before it looks at its ring again, and milliseconds it takes. */
export const MERGE_SLICE_TENANTS_MAX = 256;
export const MERGE_SLICE_MS_MAX = 5;
/** Merges that run at once; beyond, `busy`. */
export const MERGES_MAX = 4;

/** Messages of one request for verdicts. */
export const MODERATE_COUNT_MAX = 256;
/** Bytes of the body of such a request. */
export const MODERATE_BODY_BYTES_MAX = 1024 * 1024;
/** Bytes of what a moderator is handed of one message: its texts, names and given context. */
export const JUDGE_BYTES_MAX = 24 * 1024;
/** Turns of the context that a request brings along; of more, the newest are read. */
export const GIVEN_TURNS_MAX = 16;
export const ROLE_BYTES_MAX = 64;
export const LANGUAGE_BYTES_MAX = 35;
/** Bytes of a policy as a moderator is handed it, and of one entry of its lists. */
export const POLICY_BYTES_MAX = 8 * 1024;
export const POLICY_TERM_BYTES_MAX = 80;
/** Bytes of text that a policy may let one conversation remember. */
export const CONTEXT_BYTES_MAX = 16 * 1024;
/** Turns of a conversation that a policy may let be read. */
export const CONTEXT_TURNS_MAX = 32;
/** How long a policy may let a conversation be remembered. */
export const CONTEXT_AGE_MS_MAX = 30 * 24 * 3_600_000;
/** Bytes of the body of a policy: JSON takes more than the form a moderator is handed. */
export const POLICY_BODY_BYTES_MAX = 64 * 1024;
export const POLICY_NOTE_BYTES_MAX = 512;
/** Former versions of a tenant's policy that are kept. */
export const POLICY_VERSIONS_MAX = 100;
/** Verdicts that a dry run of a policy looks back on: of one tenant, and held of all in memory. */
export const PAST_VERDICTS_MAX = 1_000;
export const PAST_VERDICTS_HELD_MAX = 32_768;
/** Examples that a dry run names. */
export const DRY_RUN_EXAMPLES_MAX = 20;
/** Bytes of an opaque token that is sent back as it came. */
export const CLIENT_TOKEN_BYTES_MAX = 4 * 1024;
/** Bytes of the weights of the classifier, which all tenants share. */
export const CLASSIFIER_BYTES_MAX = 8 * 1024 * 1024;
/** Messages, and bytes of them, that a shard judges before it looks at its ring again. */
export const JUDGE_SLICE_COUNT_MAX = 64;
export const JUDGE_SLICE_BYTES_MAX = 32 * 1024;

/** Items of the review queue that wait for a decision, of one tenant; beyond, they are counted. */
export const REVIEWS_WAITING_MAX = 100_000;
export const REVIEWS_LIMIT_MAX = 200;
export const REVIEWS_LIMIT_DEFAULT = 50;
/** Items that a moderator is given at once. */
export const CLAIM_COUNT_MAX = 50;
export const LEASE_MS_DEFAULT = 5 * 60_000;
export const LEASE_MS_MIN = 10_000;
export const LEASE_MS_MAX = 3_600_000;
export const MODERATOR_BYTES_MAX = 128;
export const REVIEW_REASON_BYTES_MAX = 2 * 1024;
/** Appeals against the decisions on one item. */
export const APPEALS_MAX = 3;
/** Bytes of the body of a report, a decision or an appeal. */
export const REVIEW_BODY_BYTES_MAX = 64 * 1024;
/** Verdicts, items and audit lines that one answer tells of an author or an item. */
export const REVIEW_HISTORY_MAX = 50;
/** Commands that wait for the thread of the review store; beyond, `busy`. */
export const STORE_WAITING_MAX = 4_096;
/** Flagged verdicts that wait for it, half of them of one tenant; beyond, they count as lost. */
export const STORE_FLAGGED_MAX = 65_536;
/** Bytes of them and their contexts, about. */
export const STORE_FLAGGED_BYTES_MAX = 64 * 1024 * 1024;
/** Verdicts without a flag that wait for it; beyond, the oldest are shed and counted. */
export const STORE_ALLOWED_MAX = 2_048;
/** How long those may wait: they need not be on disk at once. */
export const STORE_ALLOWED_MS_MAX = 200;
/** Reviews that an upstream is asked for, and that wait to be kept over a crash; beyond, `busy`. */
export const STORE_PENDING_MAX = 131_072;
export const STORE_PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** How long what was kept of a review outlives its end, at least: the answer goes out first. */
export const STORE_ENDED_MS_MIN = 200;
/** Rows that a crash left, of one transaction at the next start. */
export const STORE_RECOVERED_MAX = 1_024;
/** Messages of a tenant that its upstream did not judge, and that are listed; then the newest. */
export const NOT_REVIEWED_MAX = 100_000;
/** How often is kept what tenants spent of their money for a language model. */
export const LLM_SPENT_KEPT_MS = 5_000;
/** What a tenant's data is kept for, in days, unless it says otherwise. */
export const RETENTION_DAYS_DEFAULT = { verdicts: 30, decided: 90, audit: 365 } as const;
export const RETENTION_DAYS_MAX = 3_650;
/** How often what is too old is deleted. */
export const RETENTION_SWEEP_MS = 3_600_000;
/** Webhooks of one tenant. */
export const WEBHOOKS_MAX = 8;
export const WEBHOOK_URL_BYTES_MAX = 2 * 1024;
/** Deliveries that wait for one webhook; beyond, they are counted as lost. */
export const WEBHOOK_WAITING_MAX = 10_000;
/** Deliveries on their way at once, in all and to one webhook. */
export const WEBHOOK_SENDING_MAX = 16;
export const WEBHOOK_SENDING_EACH_MAX = 4;
export const WEBHOOK_MS_MAX = 10_000;
/** Waits before each further attempt of a delivery; after the last it is given up. */
export const WEBHOOK_RETRY_MS = [5_000, 30_000, 120_000, 600_000, 3_600_000, 21_600_000] as const;
/** Failed attempts in a row after which a webhook is disabled. */
export const WEBHOOK_FAILURES_MAX = 50;

/** Bytes of the ring between the I/O thread and one shard. */
export const RING_BYTES = 16 * 1024 * 1024;
/** Requests that may wait for one shard's answer. */
export const REQUESTS_WAITING_MAX = 4_096;
/**
 * HTTP connections that may wait to be accepted, where the system allows as many: after a restart
 * all live listeners come back at once.
 */
export const HTTP_BACKLOG_MAX = 4_096;
/** Live (SSE) connections in all. */
export const LIVE_CONNECTIONS_MAX = 1_024;
/** Of one tenant: none can take them all. */
export const LIVE_OF_TENANT_MAX = LIVE_CONNECTIONS_MAX / 2;
/** How often a tenant with live listeners is asked for its window. */
export const LIVE_POLL_MS = 1_000;
/** Silence after which a comment keeps a live connection open through proxies. */
export const LIVE_HEARTBEAT_MS = 15_000;
/** A live listener that takes nothing for this long is cut off; it may come back. */
export const LIVE_STALL_MS_MAX = 30_000;

/** Tenants of one page of the list. */
export const TENANT_PAGE_MAX = 1_000;
export const TENANT_PAGE_DEFAULT = 100;

/** A client that has not sent its headers, or its whole request, by then is cut off. */
export const HEADERS_MS_MAX = 10_000;
export const REQUEST_MS_MAX = 60_000;
export const KEEP_ALIVE_MS = 65_000;
/** HTTP connections at once: of all, and of one address. Live ones count. */
export const CONNECTIONS_MAX_DEFAULT = 16_384;
export const CONNECTIONS_PER_ADDRESS_MAX_DEFAULT = 128;
/** A body that brings fewer bytes a second than that, over that long, is waited for no more. */
export const BODY_RATE_MIN = 1_024;
export const BODY_RATE_MS = 5_000;
/** Requests of one connection that wait for their answers. */
export const PIPELINED_MAX = 64;
/**
 * A connection on which nothing moves, in either direction, is closed: longer than the longest wait
 * for a verdict, so it hits who does not take their answer.
 */
export const SILENCE_MS_MAX = 120_000;
/** Clients that are still sending a request that long after a stop began are cut off. */
export const STOP_CLIENTS_MS_MAX = 5_000;
/** Calls to the upstream that wait or run at once, of all tenants: a ticket each. */
export const CONSULTATIONS_MAX = 131_072;
/** Of one tenant, that wait; beyond, the embedded answer stands. */
export const CONSULTATIONS_OF_TENANT_MAX = 4_096;
/** Bytes of what a tenant's component hands over to be asked: the parts of a prompt. */
export const PROMPT_BYTES_MAX = 16 * 1024;
/** Parts of a prompt: a policy, turns, and what is to be judged or told. */
export const PROMPT_PARTS_MAX = 64;
/** Bytes of all prompts that are held at once; beyond, the embedded answer stands. */
export const PROMPTS_BYTES_MAX = 768 * 1024 * 1024;
/** Bytes of an upstream's answer, as received; what sends more is cut off. */
export const UPSTREAM_ANSWER_BYTES_MAX = 64 * 1024;
/** Tokens that one request may take by the upstream's word; who says more is not believed. */
export const UPSTREAM_TOKENS_MAX = 1_000_000;
/** Messages of one tenant that go to the upstream in one request. */
export const UPSTREAM_BATCH_MAX = 16;
/** Bytes of their parts from which on no other is taken along: a model's context is not endless. */
export const UPSTREAM_BATCH_BYTES_MAX = 16 * 1024;
/** Tokens that the fair queue counts a call as, at most. */
export const CALL_TOKENS_MAX = 32_768;
/** Bytes of all answers that the cache keeps. */
export const ANSWER_CACHE_BYTES_MAX = 64 * 1024 * 1024;
/** Answers of one tenant that the cache keeps: none can push out everybody's. */
export const ANSWERS_OF_TENANT_MAX = 4_096;
export const ANSWER_CACHE_MS_MAX = 3_600_000;
/** The longest an upstream may ask us to wait; beyond, the embedded answer stands. */
export const RETRY_AFTER_MS_MAX = 30_000;
/** Calls of one tenant's moderator that wait at once; beyond, the embedded verdict stands. */
export const REVIEWS_OPEN_MAX = 64;
/**
 * A stop waits that long for reviews that are open; then their embedded verdicts stand. Less than
 * clients are given then, so that who waits for one is answered.
 */
export const REVIEWS_STOP_MS_MAX = 3_000;
/** Bytes of an answer as a moderator is handed it: a judgement with its reason. */
export const JUDGEMENT_BYTES_MAX = 8 * 1024;
/** Bytes of a policy's own words to the upstream. */
export const GUIDANCE_BYTES_MAX = 2 * 1024;
/** What a policy may say a verdict waits for the upstream. */
export const CONSULT_WAIT_MS_MIN = 100;
export const CONSULT_WAIT_MS_MAX = 60_000;
/** Calls that ended and are still told of, and tenants that are listed by their tokens. */
export const LLM_TRACES_MAX = 256;
export const LLM_TOP_TENANTS_MAX = 20;
/** Terms, and bytes of a quotation, of which a TL;DR is rewritten. */
export const TLDR_TERMS_MAX = 8;
export const RETOLD_TEXT_BYTES_MAX = 320;
/** How long a rewrite may take: after the next pane it is of another window. */
export const TLDR_WAIT_MS_MAX = 8_000;
export const REFINE_WAIT_MS_MAX = 20_000;
/** New lines of a conversation that one refinement reads; of more, the newest. */
export const REFINE_LINES_MAX = 16;
/** Messages, and milliseconds, from one refinement of a conversation to the next. */
export const REFINE_EVENTS_MIN = 8;
export const REFINE_MS_MIN = 10_000;
/** Refinements of one tenant that wait at once, and that one list of conversations begins. */
export const REFINES_OPEN_MAX = 4;
export const REFINES_OF_LIST_MAX = 3;
/** Bytes of rewrites, and of refined summaries, that are kept, about; the oldest looked at go. */
export const RETELLINGS_BYTES_MAX = 16 * 1024 * 1024;
/** Conversations of one tenant whose refined summary is kept. */
export const REFINED_OF_TENANT_MAX = 64;

/** Bytes of turns that a shard gathers before it hands them to the writer, at most. */
export const LOG_BLOCK_BYTES_MAX = 1024 * 1024;
/** Bytes of the ring between a shard and the writer: what may wait for the disk. */
export const LOG_RING_BYTES = 32 * 1024 * 1024;
/** Bytes of one transaction of the writer, about: more would hold up who waits for the first. */
export const LOG_GROUP_BYTES_MAX = 4 * 1024 * 1024;
/** After a commit the writer rests so many times as long as it took, and so long at most. */
export const LOG_REST = 3;
export const LOG_REST_MS_MAX = 5;
/** What waits then is worth a commit at once. */
export const LOG_REST_BYTES_MAX = 1024 * 1024;
/** Of a writer whose disk failed: how long it waits for another try. */
export const LOG_RETRY_MS = 500;
/** A commit that takes longer makes new events wait outside: the disk is slow. */
export const LOG_SLOW_MS = 2_000;
/** API keys of one server. */
export const KEYS_MAX = 100_000;
/** How long a rotated key's former secret still opens, unless it is told otherwise. */
export const KEY_OVERLAP_MS_DEFAULT = 24 * 3_600_000;
export const KEY_NOTE_BYTES_MAX = 256;
/** How long a former secret may be told to open, at most. */
export const KEY_OVERLAP_MS_MAX = 90 * 24 * 3_600_000;
/** Revoked and expired keys are told apart from unknown ones for so long, then forgotten. */
export const KEY_REMEMBERED_MS = 90 * 24 * 3_600_000;
export const KEY_PAGE_DEFAULT = 100;
export const KEY_PAGE_MAX = 1_000;
/** Roles and tenants of one key. */
export const KEY_TENANTS_MAX = 256;
/** Keys that open nothing, of one address in a minute; more are not looked at for a minute. */
export const KEY_TRIES_MAX = 20;
export const KEY_TRIES_MS = 60_000;
/** Addresses whose tries are counted; the one that was silent longest is forgotten. */
export const KEY_TRY_ADDRESSES_MAX = 16_384;
/** Of a provider: longer ones are not looked at. */
export const TOKEN_BYTES_MAX = 8 * 1024;
/** Tokens that were verified and are taken again for a minute without verifying them anew. */
export const TOKENS_REMEMBERED_MAX = 4_096;
export const TOKENS_REMEMBERED_MS = 60_000;
/** Tenants that a start names of which something is missing; the rest are counted. */
export const LOST_LISTED_MAX = 64;
/** Bytes that a backup leaves free on its disk; without them it does not begin. */
export const BACKUP_SPARE_BYTES = 256 * 1024 * 1024;
/** For how long a backup may hold up commits, at most: it is about a millisecond. */
export const BACKUP_HOLD_MS_MAX = 1_000;
/** Bytes of the log, and tenants' names, that a look at one tenant's turns reads at most. */
export const INSPECTED_LOG_BYTES_MAX = 512 * 1024 * 1024;
/** Of its rates, what a tenant may take at once after it took nothing. */
export const QUOTA_BURST_MS = 2_000;
/** Questions are answered while a tenant would have to wait for less: events alone owe no more. */
export const QUOTA_QUESTIONS_WAIT_MS = 4_000;
/** A tenant that took more than its quota in one request waits for the rest; so long at most. */
export const QUOTA_WAIT_MS_MAX = 3_600_000;
/** Tenants over their quota that are refused before their requests are read. */
export const QUOTA_BLOCKED_MAX = 10_000;
/** Tenants that are named in the metrics, by what they take: as many series, and no more. */
export const QUOTA_TOP_TENANTS = 20;
/** CPU time of one shard that a tenant may take, ms a second, unless it is told otherwise. */
export const QUOTA_CPU_MS_DEFAULT = 500;
/** How often a shard looks how much of the time it is running at all. */
export const QUOTA_SAMPLE_MS = 20;
/** A deletion that failed is tried again after it. */
export const DELETION_RETRY_MS = 2_000;
