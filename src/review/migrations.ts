/**
 * The tables, as steps: the database's `user_version` says how many of them it has had. A step that
 * was published is never changed, only followed by another.
 *
 * Times are epoch ms, composite values JSON. `verdicts` are those that flagged or blocked, whole;
 * `recent` holds scores of the others, for dry runs. Of `items` those that wait are found by an
 * index of their own, in the order in which they are handed out. `audit` refuses changes, and
 * deletions but those of a retention pass. `pending_review` holds embedded verdicts while an
 * upstream is asked; `not_reviewed` those that it did not judge. Of messages that leave no trace
 * they hold the id and the time.
 */
export const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE policies (
  tenant TEXT NOT NULL, version INTEGER NOT NULL, set_ms REAL NOT NULL, note TEXT,
  policy TEXT NOT NULL, PRIMARY KEY (tenant, version)
) WITHOUT ROWID;
CREATE TABLE policy_heads (
  tenant TEXT PRIMARY KEY, version INTEGER NOT NULL, last_version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE verdicts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, id TEXT NOT NULL,
  as_of_ms REAL NOT NULL, action TEXT NOT NULL, severity INTEGER NOT NULL, message_id TEXT,
  conversation TEXT, author TEXT, text_hash TEXT, text TEXT, verdict TEXT NOT NULL,
  UNIQUE (tenant, id)
);
CREATE INDEX verdicts_age ON verdicts (tenant, as_of_ms);
CREATE INDEX verdicts_author ON verdicts (tenant, author, seq) WHERE author IS NOT NULL;
CREATE INDEX verdicts_conversation ON verdicts (tenant, conversation)
  WHERE conversation IS NOT NULL;
CREATE INDEX verdicts_message ON verdicts (tenant, message_id) WHERE message_id IS NOT NULL;

CREATE TABLE recent (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, as_of_ms REAL NOT NULL,
  past TEXT NOT NULL
);
CREATE INDEX recent_tenant ON recent (tenant, seq);

CREATE TABLE items (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, id TEXT NOT NULL,
  version INTEGER NOT NULL, state TEXT NOT NULL, waits_as TEXT NOT NULL,
  escalated INTEGER NOT NULL, severity INTEGER NOT NULL, action TEXT, categories TEXT NOT NULL,
  verdict_id TEXT, message_id TEXT, conversation TEXT, author TEXT, language TEXT, text TEXT,
  context TEXT NOT NULL, merge_key TEXT, verdict_count INTEGER NOT NULL,
  report_count INTEGER NOT NULL, appeal_count INTEGER NOT NULL, created_ms REAL NOT NULL,
  updated_ms REAL NOT NULL, claimed_by TEXT, claim_ends_ms REAL, decision TEXT, decided_by TEXT,
  decided_ms REAL, reason TEXT, UNIQUE (tenant, id)
);
CREATE INDEX items_waiting ON items (tenant, severity DESC, seq)
  WHERE state IN ('pending', 'appealed');
CREATE INDEX items_state ON items (tenant, state, severity DESC, seq);
CREATE INDEX items_order ON items (tenant, severity DESC, seq);
CREATE INDEX items_claims ON items (claim_ends_ms) WHERE state = 'claimed';
CREATE INDEX items_open ON items (tenant, merge_key) WHERE state <> 'decided';
CREATE INDEX items_author ON items (tenant, author, seq) WHERE author IS NOT NULL;
CREATE INDEX items_conversation ON items (tenant, conversation) WHERE conversation IS NOT NULL;
CREATE INDEX items_decided ON items (tenant, decided_ms) WHERE state = 'decided';

CREATE TABLE decisions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, item_id TEXT NOT NULL,
  moderator TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT, at_ms REAL NOT NULL
);
CREATE INDEX decisions_item ON decisions (tenant, item_id, seq);
CREATE TABLE appeals (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, item_id TEXT NOT NULL,
  appellant TEXT NOT NULL, reason TEXT NOT NULL, at_ms REAL NOT NULL
);
CREATE INDEX appeals_item ON appeals (tenant, item_id, seq);
CREATE TABLE reports (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, item_id TEXT NOT NULL,
  reporter TEXT, reason TEXT, at_ms REAL NOT NULL
);
CREATE UNIQUE INDEX reports_item ON reports (tenant, item_id, reporter);

CREATE TABLE labels (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, source TEXT NOT NULL,
  category TEXT NOT NULL, value REAL NOT NULL, score REAL, verdict_id TEXT, item_id TEXT,
  language TEXT, text TEXT, at_ms REAL NOT NULL
);
CREATE INDEX labels_item ON labels (tenant, item_id) WHERE item_id IS NOT NULL;
CREATE INDEX labels_count ON labels (tenant, source, category, value);

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, at_ms REAL NOT NULL, actor TEXT,
  action TEXT NOT NULL, item_id TEXT, detail TEXT NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, seq);
CREATE INDEX audit_item ON audit (tenant, item_id, seq) WHERE item_id IS NOT NULL;
CREATE TABLE retention_pass (one INTEGER PRIMARY KEY);
CREATE TRIGGER audit_change BEFORE UPDATE ON audit
  BEGIN SELECT RAISE (ABORT, 'the audit log is append only'); END;
CREATE TRIGGER audit_deletion BEFORE DELETE ON audit WHEN NOT EXISTS (SELECT 1 FROM retention_pass)
  BEGIN SELECT RAISE (ABORT, 'the audit log is append only'); END;

CREATE TABLE tenants (
  tenant TEXT PRIMARY KEY, retention TEXT, lost_count INTEGER NOT NULL DEFAULT 0,
  overturned_count INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE webhooks (
  tenant TEXT NOT NULL, id TEXT NOT NULL, url TEXT NOT NULL, events TEXT NOT NULL,
  secret TEXT NOT NULL, enabled INTEGER NOT NULL, disabled_reason TEXT,
  failure_count INTEGER NOT NULL, delivered_count INTEGER NOT NULL,
  gave_up_count INTEGER NOT NULL, lost_count INTEGER NOT NULL, created_ms REAL NOT NULL,
  updated_ms REAL NOT NULL, PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE TABLE deliveries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, webhook TEXT NOT NULL,
  id TEXT NOT NULL, event TEXT NOT NULL, payload TEXT, author TEXT, conversation TEXT,
  state TEXT NOT NULL, attempt_count INTEGER NOT NULL, created_ms REAL NOT NULL,
  due_ms REAL, status INTEGER, error TEXT, UNIQUE (tenant, webhook, id)
);
CREATE INDEX deliveries_due ON deliveries (due_ms) WHERE state = 'waiting';
CREATE INDEX deliveries_webhook ON deliveries (tenant, webhook, state, seq);
`,
  `
CREATE TABLE pending_review (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, id TEXT NOT NULL,
  at_ms REAL NOT NULL, conversation TEXT, author TEXT, text TEXT, verdict TEXT, UNIQUE (id, tenant)
);
CREATE TABLE not_reviewed (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, id TEXT NOT NULL,
  as_of_ms REAL NOT NULL, outcome TEXT NOT NULL, conversation TEXT, author TEXT, item_id TEXT,
  text TEXT, verdict TEXT, UNIQUE (tenant, id)
);
CREATE INDEX not_reviewed_order ON not_reviewed (tenant, seq);
CREATE INDEX not_reviewed_age ON not_reviewed (tenant, as_of_ms);
ALTER TABLE items ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0;

CREATE TABLE llm_limits (
  tenant TEXT PRIMARY KEY, set_ms REAL NOT NULL, limits TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE llm_spent (
  tenant TEXT PRIMARY KEY, at_ms REAL NOT NULL, spent_micros REAL NOT NULL
) WITHOUT ROWID;
`,
  `
CREATE TABLE quotas (
  tenant TEXT PRIMARY KEY, set_ms REAL NOT NULL, limits TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE deletions (
  tenant TEXT PRIMARY KEY, started_ms REAL NOT NULL, done_ms REAL
) WITHOUT ROWID;
`,
];
