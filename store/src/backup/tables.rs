//! Which rows a backup holds: every table that is not derived, in an order in which each row comes after those it refers to.
//!
//! What was deleted and still waits for its purge is left out, and so is what only saves time: index states, the change
//! sequence (its last number is kept), replies of models that were kept to be given again.

use super::value::Kind;

/// A column, named as in SQLite's schema.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    /// What follows `FROM`, in words that both databases speak: the table as `t`, what it is joined with (its collection as
    /// `c`), which rows, in which order.
    pub(crate) from: &'static str,
    /// Where the column `tenant` comes from, if there is one.
    pub(crate) tenant: &'static str,
}

impl Table {
    /// Whether SQLite's table has the column `tenant` itself; PostgreSQL's always has.
    pub(crate) fn keeps_tenant(&self) -> bool {
        self.tenant == "t.tenant"
    }
}

macro_rules! columns {
    ($($name:ident $kind:ident),+ $(,)?) => {
        &[$(Column { name: stringify!($name), kind: Kind::$kind }),+]
    };
}

macro_rules! of_collection {
    ($order:literal) => {
        concat!(
            " t JOIN collections c ON c.key = t.collection_key WHERE c.deleted_at IS NULL ORDER BY ",
            $order
        )
    };
}

macro_rules! of_document {
    ($and:literal, $order:literal) => {
        concat!(
            " t JOIN documents d ON d.key = t.document_key JOIN collections c ON c.key = d.collection_key \
             WHERE d.deleted_at IS NULL AND c.deleted_at IS NULL",
            $and,
            " ORDER BY ",
            $order
        )
    };
}

macro_rules! of_version {
    ($and:literal, $order:literal) => {
        concat!(
            " t JOIN versions v ON v.key = t.version_key JOIN documents d ON d.key = v.document_key \
             JOIN collections c ON c.key = d.collection_key \
             WHERE v.state <> 'removed' AND d.deleted_at IS NULL AND c.deleted_at IS NULL",
            $and,
            $order
        )
    };
}

/// The tables, those that others refer to first.
pub(crate) static TABLES: &[Table] = &[
    Table {
        name: "tenants",
        columns: columns![name Text, created_at Integer],
        from: "tenants t ORDER BY t.name",
        tenant: "",
    },
    Table {
        name: "collections",
        columns: columns![
            key Integer, tenant Text, name Text, model Text, fingerprint Text, dimension Integer, settings Text,
            last_seq Integer, documents Integer, chunks Integer, created_at Integer, held_documents Integer,
            held_bytes Integer,
        ],
        from: "collections t WHERE t.deleted_at IS NULL ORDER BY t.key",
        tenant: "t.tenant",
    },
    Table {
        name: "documents",
        columns: columns![
            key Integer, tenant Text, collection_key Integer, id Text, last_version Integer, visible Integer,
            restricted Flag, created_at Integer,
        ],
        from: concat!(
            "documents t JOIN collections c ON c.key = t.collection_key ",
            "WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL ORDER BY t.key"
        ),
        tenant: "c.tenant",
    },
    Table {
        name: "versions",
        columns: columns![
            key Integer, tenant Text, document_key Integer, version Integer, state Text, blob Bytes, bytes Integer,
            source Text, declared_type Text, declared_title Text, declared_metadata Text, acl List, created_at Integer,
            visible_at Integer, media_type Text, title Text, metadata Text, pipeline Text, warnings Text,
            page_count Integer, chunks Integer, first_chunk Integer, text_bytes Integer, text_hash Bytes, pages Text,
            offsets Text, named_by Integer, names Integer,
        ],
        from: concat!("versions", of_document!(" AND t.state <> 'removed'", "t.key")),
        tenant: "c.tenant",
    },
    Table {
        name: "segments",
        columns: columns![tenant Text, version_key Integer, number Integer, bytes Bytes],
        from: concat!("segments", of_version!("", " ORDER BY t.version_key, t.number")),
        tenant: "c.tenant",
    },
    Table {
        name: "chunks",
        columns: columns![
            key Integer, tenant Text, version_key Integer, collection_key Integer, ordinal Integer, start Integer,
            end Integer, page Integer, section_start Integer, section_end Integer, tokens Integer, language Text, id Text,
            content_hash Bytes, headings Text, links Text,
        ],
        from: concat!("chunks", of_version!(" AND NOT t.replaced", " ORDER BY t.key")),
        tenant: "c.tenant",
    },
    Table {
        name: "vectors",
        columns: columns![chunk_key Integer, tenant Text, vector Bytes],
        from: "vectors t JOIN chunks k ON k.key = t.chunk_key JOIN versions v ON v.key = k.version_key \
            JOIN documents d ON d.key = v.document_key JOIN collections c ON c.key = d.collection_key \
            WHERE NOT k.replaced AND v.state <> 'removed' AND d.deleted_at IS NULL AND c.deleted_at IS NULL \
            ORDER BY t.chunk_key",
        tenant: "c.tenant",
    },
    Table {
        name: "fields",
        columns: columns![
            tenant Text, version_key Integer, collection_key Integer, name Text, kind Integer, text Text, number Real,
            whole Integer,
        ],
        from: concat!("fields", of_version!("", "")),
        tenant: "c.tenant",
    },
    Table {
        name: "names",
        columns: columns![
            tenant Text, version_key Integer, hash Integer, collection_key Integer, kind Integer, ordinal Integer,
        ],
        from: concat!("names", of_version!("", " ORDER BY t.version_key, t.hash")),
        tenant: "c.tenant",
    },
    Table {
        name: "jobs",
        columns: columns![
            key Integer, tenant Text, id Text, collection_key Integer, document_key Integer, version Integer,
            document_id Text, source Text, acl Text, state Text, stage Text, done Integer, total Integer,
            attempts Integer, max_attempts Integer, owner Text, fence Integer, due_at Integer, cancel_requested Flag,
            reason Text, message Text, report Text, created_at Integer, updated_at Integer,
        ],
        from: concat!("jobs", of_document!("", "t.key")),
        tenant: "c.tenant",
    },
    Table {
        name: "idempotency",
        columns: columns![
            tenant Text, collection_key Integer, key Text, request Bytes, version Integer, job Text, created_at Integer,
        ],
        from: concat!("idempotency", of_collection!("t.collection_key, t.key")),
        tenant: "c.tenant",
    },
    Table {
        name: "queries",
        columns: columns![
            key Integer, tenant Text, collection_key Integer, principals Text, request Text, settings Text, chunks Text,
            at Integer,
        ],
        from: concat!("queries", of_collection!("t.key")),
        tenant: "c.tenant",
    },
    Table {
        name: "tuning",
        columns: columns![collection_key Integer, tenant Text, report Text, updated_at Integer],
        from: concat!("tuning", of_collection!("t.collection_key")),
        tenant: "c.tenant",
    },
    Table {
        name: "purges",
        columns: columns![
            key Integer, at Integer, tenant Text, collection_key Integer, document_key Integer, document_hash Bytes,
            version Integer, chunks Integer, bytes Integer,
        ],
        from: "purges t ORDER BY t.key",
        tenant: "t.tenant",
    },
    Table {
        name: "conversations",
        columns: columns![
            key Integer, id Text, tenant Text, owner Text, collection_key Integer, title Text, turns Integer,
            created_at Integer, updated_at Integer,
        ],
        from: concat!("conversations", of_collection!("t.key")),
        tenant: "t.tenant",
    },
    Table {
        name: "turns",
        columns: columns![
            tenant Text, conversation_key Integer, number Integer, question Text, standalone Text, answer Text,
            at Integer,
        ],
        from: "turns t JOIN conversations o ON o.key = t.conversation_key JOIN collections c ON c.key = o.collection_key \
            WHERE c.deleted_at IS NULL ORDER BY t.conversation_key, t.number",
        tenant: "o.tenant",
    },
    Table {
        name: "runs",
        columns: columns![
            id Text, tenant Text, owner Text, collection_key Integer, conversation Text, state Text, version Integer,
            body Text, created_at Integer, expires_at Integer,
        ],
        from: concat!("runs", of_collection!("t.id")),
        tenant: "t.tenant",
    },
    Table {
        name: "feedback",
        columns: columns![key Integer, tenant Text, collection_key Integer, id Text, event Text, at Integer],
        from: concat!("feedback", of_collection!("t.key")),
        tenant: "c.tenant",
    },
    Table {
        name: "api_keys",
        columns: columns![
            id Text, hash Bytes, tenant Text, name Text, rights Text, collections Text, tools Text, principals Text,
            created_by Text, created_at Integer, expires_at Integer, revoked_at Integer,
        ],
        from: "api_keys t ORDER BY t.id",
        tenant: "t.tenant",
    },
    Table {
        name: "users",
        columns: columns![
            name Text, tenant Text, password Text, rights Text, groups Text, created_at Integer, disabled_at Integer,
        ],
        from: "users t ORDER BY t.name",
        tenant: "t.tenant",
    },
    Table {
        name: "audit",
        columns: columns![
            key Integer, at Integer, tenant Text, actor Text, action Text, collection Text, object Text, outcome Integer,
            request Text,
        ],
        from: "audit t ORDER BY t.key",
        tenant: "t.tenant",
    },
    Table {
        name: "ledger_open",
        columns: columns![
            key Integer, day Integer, at Integer, tenant Text, api_key Text, request Text, purpose Text, model Text,
            input_tokens Integer, output_tokens Integer, micros Integer,
        ],
        from: "ledger_open t ORDER BY t.key",
        tenant: "t.tenant",
    },
    Table {
        name: "ledger_balances",
        columns: columns![tenant Text, api_key Text, request Text, day Integer, tokens Integer, micros Integer],
        from: "ledger_balances t ORDER BY t.tenant, t.api_key, t.request, t.day",
        tenant: "t.tenant",
    },
    Table {
        name: "ledger_usage",
        columns: columns![
            tenant Text, day Integer, api_key Text, purpose Text, model Text, calls Integer, estimated Integer,
            input_tokens Integer, cached_input_tokens Integer, output_tokens Integer, micros Integer,
        ],
        from: "ledger_usage t ORDER BY t.tenant, t.day, t.api_key, t.purpose, t.model",
        tenant: "t.tenant",
    },
    Table {
        name: "events",
        columns: columns![
            seq Integer, tenant Text, collection Text, kind Text, document_id Text, version Integer, job Text,
            reason Text, at Integer,
        ],
        from: "events t ORDER BY t.seq",
        tenant: "t.tenant",
    },
    Table {
        name: "webhook_cursors",
        columns: columns![endpoint Text, tenant Text, seq Integer],
        from: "webhook_cursors t ORDER BY t.endpoint",
        tenant: "",
    },
    Table {
        name: "deliveries",
        columns: columns![
            key Integer, id Text, endpoint Text, tenant Text, kind Text, payload Text, state Text, attempts Integer,
            due_at Integer, status Integer, error Text, created_at Integer, updated_at Integer,
        ],
        from: "deliveries t ORDER BY t.key",
        tenant: "t.tenant",
    },
];

/// Original bytes that rows of the backup refer to, each once per tenant. Not a file of rows.
pub(crate) static BLOBS: Table = Table {
    name: "blobs",
    columns: columns![tenant Text, blob Bytes],
    from: "(SELECT DISTINCT c.tenant AS tenant, w.blob AS blob FROM versions w JOIN documents d ON d.key = w.document_key \
        JOIN collections c ON c.key = d.collection_key \
        WHERE w.state <> 'removed' AND d.deleted_at IS NULL AND c.deleted_at IS NULL) t ORDER BY t.tenant, t.blob",
    tenant: "t.tenant",
};

/// Tables that no backup holds, and why.
#[cfg(test)]
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("changes", "indexes are built anew, from the rows"),
    ("index_states", "the same"),
    ("vector_states", "the same"),
    ("doomed_blobs", "bytes of what is deleted are not in it"),
    ("replies", "they are made again"),
    ("reply_sources", "the same"),
    ("blobs", "original bytes have files of their own"),
    ("blob_parts", "the same"),
    ("event_numbers", "a counter of the manifest"),
    ("sign_ins", "who was signed in signs in again"),
    ("audit_horizon", "retention moves it on again"),
    ("catalog_identity", "a copy is another catalog"),
    ("replicas", "processes of the old catalog"),
    ("vector_writers", "the same"),
    ("restores", "it tells where this catalog came from"),
];

/// Columns that no backup holds: of rows that are not in it, or derived.
#[cfg(test)]
pub(crate) const COLUMNS_LEFT_OUT: &[&str] = &[
    "collections.deleted_at",
    "collections.visible_seq",
    "collections.purged_seq",
    "jobs.trace",
    "documents.deleted_at",
    "versions.removed_seq",
    "chunks.replaced",
    // In other words there: `text`, `number`, `whole`; `end`; PostgreSQL's own order of events.
    "fields.value",
    "fields.head",
    "fields.rest",
    "chunks.stop",
    "events.key",
];

/// Tables whose keys are given out by a counter, which must go on where it was: a key is never used twice.
pub(crate) const COUNTED: &[&str] = &[
    "collections",
    "documents",
    "versions",
    "chunks",
    "jobs",
    "changes",
    "queries",
    "purges",
    "conversations",
    "feedback",
    "audit",
    "ledger_open",
    "events",
    "deliveries",
];

/// The table of this name.
pub(crate) fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}
